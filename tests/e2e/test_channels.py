"""Two channels and their neighbours all the way: import, draw, learn, suggest, export, compare."""

import json

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import select

from app.core.errors import VolumeInvalid
from app.core.prepared import prepare_image
from app.core.project_settings import ProjectSettings
from app.core.rescale import Rescale
from app.core.splits import Split
from app.exporting import export_project
from app.importing import ImportOptions
from app.loop.access import HERE
from app.loop.projects import create_project, find_project
from app.loop.slices import add_slice, ensure_case
from app.loop.suggestions import find_suggestion
from app.loop.training_set import load_slices
from app.loop.truths import truths
from app.store import Job, JobState, ModelVersion, Role, Slice, blobs
from app.transfers.terminal import import_data_set
from tests.conftest import mask, pixels_of, png_of
from tests.worker.projects import runner
from worker.benchmark.command import Asked, benchmark
from worker.benchmark.record import Record, read_rounds
from worker.steps.context import samples

CASES, SHAPE = 6, (24, 32, 5)
AFFINE = np.array([[0.5, 0, 0, 10], [0, 1.0, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])
SETTINGS = [
    "query.size=4",
    "query.strategy=entropy-selective",
    "training.width=2",
    "training.epochs=2",
    "training.batch_size=4",
    "training.context=1",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Decathlon task of two sequences: bright squares in one of them."""
    root = tmp_path_factory.mktemp("two")
    rng = np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr"):
        (root / part).mkdir()
    for n in range(CASES):
        marks = np.zeros(SHAPE, dtype=np.uint8)
        marks[4:12, 8:20, 1:4] = 1
        both = rng.integers(-100, 100, (*SHAPE, 2)).astype(np.int16)
        both[..., 1] += 900 * marks.astype(np.int16)
        nib.save(nib.Nifti1Image(both, AFFINE), root / "imagesTr" / f"c{n}.nii.gz")
        nib.save(nib.Nifti1Image(marks, AFFINE), root / "labelsTr" / f"c{n}.nii.gz")
    description = {
        "modality": {"0": "T1", "1": "FLAIR"},
        "labels": {"0": "background", "1": "lesion"},
        "training": [
            {"image": f"./imagesTr/c{n}.nii.gz", "label": f"./labelsTr/c{n}.nii.gz"}
            for n in range(CASES)
        ],
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def test_the_loop_turns_with_two_channels_and_their_neighbours(api, folder, tmp_path):
    options = ImportOptions(masks="oracle", validation=0.0, test=0.2, assignments=SETTINGS)
    report = import_data_set(api.database, "msd", folder, "brain", options)
    assert (report.cases, report.new_slices, report.warnings) == (CASES, 30, {})
    ann = api.as_("ann", Role.ADMIN)
    assert ann.get("/projects/brain").json()["channels"] == ["T1", "FLAIR"]
    with api.database.reading() as session:
        answers = truths(session, find_project(session, HERE, "brain", Role.ADMIN).id)
    for item in ann.get("/query/next", params={"size": 4}).json()["items"]:
        assert item["spacing"] == {"row": 1.0, "column": 0.5, "slice": 3.0}
        pixels = [pixels_of(ann.get(c["image"]).content) for c in item["channels"]]
        assert [p.shape for p in pixels] == [(32, 24), (32, 24)]
        reply = ann.post(f"/slices/{item['slice']}/masks", content=answers[item["slice"]])
        assert reply.status_code == 201
    runner(api.database).work()
    with api.database.reading() as session:
        job = session.scalars(select(Job).where(Job.parent_id.is_(None))).one()
        assert job.state is JobState.SUCCEEDED, job.error
        model = session.scalars(select(ModelVersion)).one()
        assert (model.architecture["channels"], model.architecture["context"]) == (2, 1)
        first = session.scalars(select(Slice.id).order_by(Slice.id)).first()
        edge = next(samples(load_slices(session, [first], context=1)))
        # Six planes: the slice before the first is the first again, each with both channels.
        assert edge.image.shape == (6, 32, 24)
        np.testing.assert_array_equal(edge.image[0:2], edge.image[2:4])
        assert not np.array_equal(edge.image[2:4], edge.image[4:6])
    items = ann.get("/query/next", params={"size": 4}).json()["items"]
    assert [item["suggestion_model"] for item in items] == [1, 1, 1, 1]
    with api.database.reading() as session:
        suggested = find_suggestion(session, HERE, items[0]["slice"])
        assert pixels_of(blobs.get(session, suggested.mask_sha256)).shape == (32, 24)
    export_project(api.database, "brain", tmp_path / "out")
    for path in sorted((tmp_path / "out" / "imagesTr").iterdir()):
        was, now = nib.load(folder / "imagesTr" / path.name), nib.load(path)
        np.testing.assert_array_equal(now.affine, was.affine)
        np.testing.assert_array_equal(np.asanyarray(now.dataobj), np.asanyarray(was.dataobj))
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["modality"] == {"0": "T1", "1": "FLAIR"}


def test_one_channel_can_be_picked_by_name(api, folder):
    options = ImportOptions(channels=("FLAIR",))
    assert import_data_set(api.database, "msd", folder, "one", options).new_slices == 30
    viewer = api.as_("ann", Role.ADMIN)
    assert viewer.get("/projects/one").json()["channels"] == ["FLAIR"]
    item = viewer.get("/query/next", params={"project": "one"}).json()["items"][0]
    reply = viewer.post(f"/slices/{item['slice']}/masks", content=mask(size=8))
    assert reply.status_code == 422


def test_strategies_are_compared_on_two_channels_with_their_neighbours(folder, tmp_path):
    asked = Asked(
        folder, "random,entropy-selective", "1", None, 2, 4, 4, assignments=tuple(SETTINGS[2:])
    )
    assert benchmark(asked, tmp_path, "local", 1, 1, "cpu")
    rounds = read_rounds(Record(tmp_path))
    assert set(rounds["strategy"]) == {"random", "entropy-selective", "full-labels"}
    assert rounds["dice_case"].between(0, 1).all()


def test_channels_come_in_by_their_names_in_whatever_order(api, folder):
    with api.database.writing() as session:
        create_project(session, "p", ProjectSettings(channels=["FLAIR", "T1"]))
        create_project(session, "other", ProjectSettings(channels=["T2", "FLAIR"]))
    assert import_data_set(
        api.database, "msd", folder, "p", ImportOptions(channels=("T1", "FLAIR"))
    )
    viewer = api.as_("ann")
    item = viewer.get("/projects/p/slices", params={"case": "c0"}).json()["items"][2]
    values = {
        c["name"]: pixels_of(viewer.get(c["image"]).content) * c["slope"]
        + (c["offset"] * c["slope"] + c["intercept"])
        for c in item["channels"]
    }
    # The bright square is in FLAIR alone.
    assert values["FLAIR"].max() > 700
    assert values["T1"].max() < 200
    options = ImportOptions(channels=("T1", "FLAIR"))
    with pytest.raises(VolumeInvalid, match="has the channels T2, FLAIR"):
        import_data_set(api.database, "msd", folder, "other", options)


def test_a_folder_of_which_nothing_can_be_read_makes_no_project(api, tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "0.png").write_bytes(png_of(colour))
    with pytest.raises(VolumeInvalid, match="--channel red"):
        import_data_set(api.database, "png", tmp_path, "rgb", ImportOptions())
    admin = api.as_("root", Role.ADMIN)
    assert admin.get("/projects/rgb").status_code == 404
    # Its advice is followed under the same name.
    options = ImportOptions(channels=("red", "green", "blue"))
    assert import_data_set(api.database, "png", tmp_path, "rgb", options).new_slices == 1


def test_a_sequence_that_one_case_lacks_is_not_lost_for_all(api, tmp_path):
    voxels = np.random.default_rng(0).integers(0, 900, (8, 8, 3)).astype(np.int16)
    for case in ("one", "two"):
        for sequence in ("t1", "flair") if case == "one" else ("flair",):
            (tmp_path / case).mkdir(exist_ok=True)
            path = tmp_path / case / f"{case}_{sequence}.nii.gz"
            nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    with pytest.raises(VolumeInvalid, match=r"case 'two' has no t1.*--channel"):
        import_data_set(api.database, "brats", tmp_path, "b", ImportOptions())
    assert api.as_("ann").get("/projects/b").json()["channels"] == ["t1", "flair"]


def test_what_an_earlier_version_rounded_is_recognised(api, tmp_path):
    """An import goes on in a data folder of before values on a grid were kept exactly."""
    values = (0.37 * np.random.default_rng(0).integers(0, 2000, (16, 16, 4)) - 5).astype("float32")
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "a.nii.gz")
    with api.database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "a", Split.POOL, None, {"file": "a.nii.gz"})
        step = float(np.ptp(values)) / 65535
        low = float(values.min())
        for index in range(4):
            stored = np.rint((_as_shown(values[:, :, index]) - low) / step).astype(np.uint16)
            way = Rescale(0, step, low)
            add_slice(session, case, index, {0: prepare_image(stored, way)})
    report = import_data_set(api.database, "nifti", tmp_path, "p", ImportOptions())
    assert (report.new_slices, report.known_slices) == (0, 4)
    other = values + 1
    nib.save(nib.Nifti1Image(other, AFFINE), tmp_path / "a.nii.gz")
    with pytest.raises(VolumeInvalid, match="already with other pixels"):
        import_data_set(api.database, "nifti", tmp_path, "p", ImportOptions())


def _as_shown(plane: np.ndarray) -> np.ndarray:
    """(X, Y) towards right and front as (H, W) from the feet, front up."""
    return plane[::-1, ::-1].T
