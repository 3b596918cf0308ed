"""`sfumato benchmark` on a tiny phantom: paired, resumable, guarded, reported."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from app.core.errors import InvalidInput
from app.formats.phantom import write_phantom
from tests.benchmark.tiny import STRATEGIES, TINY, asked, run
from tests.conftest import SHARED_DATA
from worker.benchmark import statistics
from worker.benchmark.asked import settings_of
from worker.benchmark.bench import make_bench
from worker.benchmark.command import keep_effort, redraw
from worker.benchmark.ground import read_ground
from worker.benchmark.record import FULL, Record, read_rounds
from worker.benchmark.seeds import initial_slices
from worker.benchmark.settings import PRESETS, GroundSettings
from worker.benchmark.splits import Division, Leakage, check_apart, check_selected, divide
from worker.segmentation.precision import Precision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def finished(phantom, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("benchmark")
    assert run(phantom, out, STRATEGIES)
    return out


def test_a_row_a_round_and_all_runs_of_a_seed_start_alike(finished):
    table = pd.read_csv(finished / "rounds.csv")
    runs = table[table["strategy"] != FULL]
    assert len(runs) == 6 * 2 * 3
    assert (runs.groupby("round")["labelled"].unique().map(list)).tolist() == [[4], [8], [12]]
    first = runs[runs["round"] == 1]
    for column in ("dice_case", "dice_slice", "foreground_pixels", "steps"):
        assert (first.groupby("seed")[column].nunique() == 1).all()
    assert table[table["strategy"] == FULL]["labelled"].tolist() == [42, 42]
    assert runs["dice_slice"].between(0, 1).all()
    # Each batch is 4 of the pool, so the sums of foreground can be checked against the picks.
    picks = pd.read_csv(finished / "selected.csv")
    one = runs[(runs["strategy"] == "entropy") & (runs["seed"] == 0)].set_index("round")
    mine = picks[(picks["strategy"] == "entropy") & (picks["seed"] == 0)]
    for round_ in (1, 2):
        asked_for = mine[mine["round"] == round_]
        grown = one.loc[round_ + 1, "foreground_pixels"] - one.loc[round_, "foreground_pixels"]
        assert asked_for["foreground_pixels"].sum() == grown
        assert (asked_for["foreground_pixels"] == 0).sum() == one.loc[round_ + 1, "batch_blank"]
        assert asked_for["case"].nunique() == one.loc[round_ + 1, "batch_cases"]
        assert asked_for["outline"].sum() == one.loc[round_ + 1, "batch_outline"]
        right = asked_for["suggested_pixels"] + asked_for["foreground_pixels"] == 0
        assert (asked_for.loc[right, "to_change"] == 0).all()
        blind = asked_for[asked_for["suggested_pixels"] == 0]
        assert (blind["to_change"] == blind["outline"]).all()


def test_dice_of_every_test_case_is_kept(finished):
    cases, table = pd.read_csv(finished / "cases.csv"), pd.read_csv(finished / "rounds.csv")
    keys = ["strategy", "seed", "round"]
    by_case = cases.groupby([*keys, "case"])["dice"].mean()
    means = by_case.groupby(keys).mean()
    assert means.to_numpy() == pytest.approx(
        table.set_index(keys)["dice_case"].sort_index().to_numpy(), abs=2e-4
    )


def test_the_test_set_is_measured_beyond_dice_and_older_tables_are_read(finished, tmp_path):
    table = pd.read_csv(finished / "rounds.csv")
    assert table["ece"].between(0, 1).all()
    assert (table["hd95_mm"] > 0).all()
    assert (table["dice_low"] <= table["dice_case"] + 1e-4).all()
    assert (table["dice_high"] >= table["dice_case"] - 1e-4).all()
    # A table of before these columns, as docs/results has them.
    older = table.drop(columns=list(table.columns[table.columns.get_loc("dice_low") :]))
    older.to_csv(tmp_path / "rounds.csv", index=False)
    assert read_rounds(Record(tmp_path))["hd95_mm"].isna().all()
    assert redraw(tmp_path)
    assert "## Beyond Dice" not in (tmp_path / "report.md").read_text()
    older.assign(mine=1).to_csv(tmp_path / "rounds.csv", index=False)
    with pytest.raises(ValueError, match="mine"):
        read_rounds(Record(tmp_path))


def test_settings_versions_and_seeds_are_written_down(finished):
    found = json.loads((finished / "settings.json").read_text())
    assert found["seeds"] == [0, 1]
    assert found["settings"]["training"]["width"] == 2
    assert found["surroundings"]["libraries"]["torch"]


def test_the_report_has_its_tables_and_opens_on_its_own(finished):
    text = (finished / "report.md").read_text()
    for heading in (
        "## Dice per case by labelled slices",
        "## Ablation of entropy, Dice per slice",
        "## Area under the budget curve",
        "## Before you read on",
        "- **Warning.** ",
        "## In words",
        "## Beyond Dice",
        "## Tests on the areas, Dice per case",
        "## Pairwise penalties, Dice per case",
        "## Budget in minutes",
        "## Tests on the areas over minutes, Dice per case",
        "## What the labels were spent on",
        "## Where the selected slices lie",
    ):
        assert heading in text
    area = (finished / "tables" / "area-under-the-budget-curve.tex").read_text()
    assert area.startswith("\\begin{tabular}{lrrrr}\n\\toprule\nstrategy & Dice per case")
    assert "$\\pm$" in area
    page = (finished / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 10
    assert "http://" not in page
    assert "https://" not in page


def test_the_report_is_redrawn_from_the_tables_alone(finished, tmp_path):
    for name in ("rounds.csv", "selected.csv", "map.csv", "settings.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    assert redraw(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.md").read_text() == (finished / "report.md").read_text()
    (tmp_path / "rounds.csv").unlink()
    with pytest.raises(InvalidInput, match="run the benchmark first"):
        redraw(tmp_path)


def test_repeats_share_their_first_slices_and_count_as_their_mean(phantom, tmp_path):
    assert run(phantom, tmp_path, "entropy", seeds="1", rounds=2)
    alone = read_rounds(Record(tmp_path))
    assert run(phantom, tmp_path, "entropy", seeds="1", rounds=2, repeats=2)
    rounds = read_rounds(Record(tmp_path))
    runs = rounds[rounds["strategy"] == "entropy"].set_index(["repeat", "round"])
    # What was there is not computed again, and the network of all labels is trained once.
    assert runs.loc[0, "dice_case"].tolist() == alone["dice_case"][alone["round"] > 0].tolist()
    assert (rounds["strategy"] == FULL).sum() == 1
    # The same first slices, another training of them.
    assert runs.loc[(0, 1), "foreground_pixels"] == runs.loc[(1, 1), "foreground_pixels"]
    assert runs.loc[(0, 1), "dice_slice"] != runs.loc[(1, 1), "dice_slice"]
    mean = statistics.runs_of(rounds).set_index("round")["dice_case"]
    assert mean[2] == pytest.approx(runs.xs(2, level="round")["dice_case"].mean())
    cases = pd.read_csv(tmp_path / "cases.csv")
    assert sorted(set(cases["repeat"])) == [0, 1]
    assert "minutes in the end" in (tmp_path / "report.md").read_text()


def test_minutes_are_counted_by_the_seconds_that_are_given(finished, tmp_path):
    for name in ("rounds.csv", "selected.csv", "settings.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    given = tmp_path / "seconds.json"
    given.write_text('{"slice_seconds": 60, "pixel_seconds": 0, "clear_seconds": 0}')
    keep_effort(tmp_path, given)
    redraw(tmp_path)
    text = (tmp_path / "report.md").read_text()
    # A minute a slice, and twelve slices.
    assert "| entropy | 12.0 ± 0.0 |" in text
    given.write_text('{"slice_seconds": "long"}')
    with pytest.raises(InvalidInput, match="slice_seconds"):
        keep_effort(tmp_path, given)


def test_what_is_finished_is_not_computed_again(phantom, finished):
    rounds = sorted(finished.glob("runs/*/round-*.json"))
    before = [path.stat().st_mtime_ns for path in rounds]
    assert run(phantom, finished, "random,entropy", seeds="1")
    assert [path.stat().st_mtime_ns for path in rounds] == before
    # Nothing that the tables hold is lost by a command that asks for less.
    assert set(pd.read_csv(finished / "rounds.csv")["seed"]) == {0, 1}


def test_runs_of_another_machine_are_taken_from_the_table(phantom, finished, tmp_path):
    for name in ("rounds.csv", "settings.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    assert run(phantom, tmp_path, "entropy")
    assert not (tmp_path / "runs").exists()


def test_the_same_command_gives_the_same_figures_and_goes_on_from_a_lost_round(
    phantom, finished, tmp_path
):
    assert run(phantom, tmp_path, "entropy", seeds="1")
    columns = ["round", "labelled", "dice_case", "dice_slice", "nearest"]

    def figures(out: Path) -> list[list[float]]:
        table = pd.read_csv(out / "rounds.csv")
        of_run = table[(table["strategy"] == "entropy") & (table["seed"] == 0)]
        return of_run[columns].to_numpy().tolist()

    assert figures(tmp_path) == figures(finished)

    # Its last round is taken away, as if the process had died before it was written.
    record = Record(tmp_path)
    folder = record.run_folder("entropy", 0)
    whole = json.loads((folder / "round-03.json").read_text())["row"]
    (folder / "round-03.json").unlink()
    (folder / "round-03.safetensors").rename(folder / "round-02.safetensors")
    table = pd.read_csv(record.rounds_file)
    table[(table["strategy"] != "entropy") | (table["round"] < 3)].to_csv(
        record.rounds_file, index=False
    )
    kept = (folder / "round-02.json").stat().st_mtime_ns
    assert run(phantom, tmp_path, "entropy", seeds="1")
    assert (folder / "round-02.json").stat().st_mtime_ns == kept
    again = json.loads((folder / "round-03.json").read_text())["row"]
    # The weights that it goes on from are the third round's here, so only the labels are equal.
    same = ("labelled", "foreground_pixels", "batch", "batch_blank", "nearest")
    assert [again[k] for k in same] == [whole[k] for k in same]


def test_other_settings_need_another_folder(phantom, finished):
    with pytest.raises(InvalidInput, match=r"training\.width: 2 there, 3 now"):
        run(phantom, finished, assignments=(*TINY, "training.width=3"))


def test_a_strategy_that_fails_is_named_and_the_others_go_on(phantom, finished, tmp_path, capfd):
    # The seed's preparation is there already.
    shutil.copytree(finished / "seeds", tmp_path / "seeds")
    assert not run(phantom, tmp_path, "tests.benchmark.broken:BROKEN,random", seeds="1")
    said = capfd.readouterr().err
    assert "broken-0 failed" in said
    assert "on purpose" in said
    assert set(pd.read_csv(tmp_path / "rounds.csv")["strategy"]) == {FULL, "random"}


def test_splits_are_by_case_and_differ_by_seed(phantom):
    ground = read_ground(phantom, GroundSettings())
    first, again, other = (divide(ground, GroundSettings(), seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    cases = [{int(ground.case_of[n]) for n in slices} for slices in vars(first).values()]
    assert sum(len(c) for c in cases) == len(set.union(*cases)) == 10


def test_the_guard_fails_a_leak(phantom, tmp_path):
    ground = read_ground(phantom, GroundSettings())
    division = divide(ground, GroundSettings(), 0)
    with pytest.raises(Leakage, match="outside the pool"):
        check_selected(division, [division.pool[0], division.test[0]])
    with pytest.raises(Leakage, match="outside the pool"):
        check_selected(division, division.validation[:1])
    with pytest.raises(Leakage, match="twice"):
        check_selected(division, division.pool[:1] * 2)
    with pytest.raises(Leakage, match="is in pool and test"):
        check_apart(
            ground, Division(division.pool, division.validation, [*division.test, division.pool[0]])
        )


def test_the_same_patient_under_two_names_is_a_leak(tmp_path):
    write_phantom(tmp_path, cases=6, slices=3, size=32, seed=0)
    for part in ("imagesTr", "labelsTr"):
        copy = (tmp_path / part / "phantom_000.nii.gz").read_bytes()
        for n in range(1, 6):
            (tmp_path / part / f"phantom_00{n}.nii.gz").write_bytes(copy)
    ground = read_ground(tmp_path, GroundSettings())
    with pytest.raises(Leakage, match="remove the copy"):
        divide(ground, GroundSettings(), 0)


def nifti(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


def test_the_brats_preset_reads_its_folders(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(3):
        case = tmp_path / "LGG" / f"BraTS19_{n}_1"
        marks = np.zeros((16, 16, 4), dtype=np.uint8)
        marks[2:4, 2:4, 1], marks[6, 6, 1], marks[9, 9, 2] = 1, 4, 2
        nifti(case / f"{case.name}_flair.nii.gz", rng.integers(0, 900, (16, 16, 4), np.int16))
        nifti(case / f"{case.name}_t1.nii.gz", np.zeros((16, 16, 4), dtype=np.int16))
        nifti(case / f"{case.name}_seg.nii.gz", marks)
    ground = read_ground(tmp_path, PRESETS["paper-brats-lgg"].ground)
    # The tumour core: labels 1 and 4, without the oedema of label 2.
    assert (ground.classes, sorted(set(ground.foreground.tolist()))) == (2, [0, 5])
    preset = PRESETS["paper-brats-lgg"]
    assert (preset.initial, preset.query.size, preset.training.batch_size) == (500, 100, 32)


def test_the_spleen_preset_cuts_to_its_window(tmp_path):
    for n in range(3):
        hounsfield = np.full((16, 16, 4), -1000, dtype=np.int16)
        hounsfield[4:8, 4:8], hounsfield[0, 0], hounsfield[1, 1] = 50 + n, 3000, -150
        nifti(tmp_path / "imagesTr" / f"spleen_{n}.nii.gz", hounsfield)
        nifti(tmp_path / "labelsTr" / f"spleen_{n}.nii.gz", (hounsfield == 50).astype(np.uint8))
    names = [f"spleen_{n}.nii.gz" for n in range(3)]
    description = {
        "labels": {"0": "background", "1": "spleen"},
        "training": [{"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    preset = PRESETS["paper-msd-spleen"]
    ground = read_ground(tmp_path, preset.ground)
    image = ground.cases[0].image
    # Level 50, width 400: all below −150 HU is −150 HU, all above 250 is 250.
    assert image.max() - image.min() == pytest.approx(400, abs=0.1)
    assert len(np.unique(image.round(2))) == 3
    assert (preset.initial, preset.query.size, preset.training.batch_size) == (150, 50, 16)


def test_shrinking_averages_pictures_and_takes_the_majority_of_masks(tmp_path):
    image = np.zeros((4, 4, 1), dtype=np.uint8)
    image[:2, :2] = np.array([[10, 20], [30, 40]])[..., None]
    marks = np.zeros((4, 4, 1), dtype=np.uint8)
    marks[:2, :2, 0] = [[1, 1], [1, 0]]
    marks[2:, 2:, 0] = [[1, 0], [0, 0]]
    for n in range(3):
        nifti(tmp_path / "images" / f"{n}.nii.gz", image + np.uint8(n))
        nifti(tmp_path / "labels" / f"{n}.nii.gz", marks)
    ground = read_ground(tmp_path, GroundSettings(layout="nifti", shrink=2))
    assert sorted(ground.cases[0].image.ravel().tolist()) == [0, 0, 0, 25]
    assert ground.foreground.tolist() == [1, 1, 1]
    # Slices are as far apart as they were, pixels twice as large.
    assert next(ground.samples([0])).spacing == (1.0, 2.0, 2.0)


def test_the_first_batch_is_shared_and_can_be_chosen_otherwise(phantom, tmp_path):
    def first(init: str) -> list[int]:
        settings = settings_of(asked(phantom, init=init))
        ground = read_ground(phantom, settings.ground)
        bench = make_bench(
            ground, settings, Record(tmp_path), 0, CPU, Precision(False), lambda: None
        )
        chosen = initial_slices(bench)
        assert len(set(chosen)) == 4
        assert set(chosen) <= set(bench.division.pool)
        return [int(ground.foreground[n]) for n in chosen] if init == "foreground" else chosen

    assert first("random") == first("random")
    assert first("k-centre") == first("k-centre") != first("random")
    assert min(first("foreground")) > 0


@pytest.mark.parametrize(
    ("name", "cases", "classes"), [("lgg-flair", 55, 2), ("msd-hippocampus", 60, 3)]
)
def test_the_small_presets_read_real_data(name, cases, classes):
    if not (SHARED_DATA / name).exists():
        pytest.skip(f"{name} is not on this machine")
    preset = PRESETS[{"lgg-flair": "lgg-flair-small"}.get(name, "hippocampus-small")]
    ground = read_ground(SHARED_DATA / name, preset.ground)
    assert (len(ground.cases), ground.classes) == (cases, classes)
    pool = divide(ground, preset.ground, 0).pool
    assert preset.labelled(preset.rounds) < len(pool)
