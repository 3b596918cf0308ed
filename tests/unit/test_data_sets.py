"""Data sets that describe themselves: Decathlon, nnU-Net v2, BraTS, and what is taken for what."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.detecting import detect_layout
from app.formats.layout import ReadOptions, find_layout
from tests.unit.volumes import back, read, read_only, save
from worker.benchmark.ground import read_ground
from worker.benchmark.settings import GroundSettings

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(0, 900, (6, 8, 4)).astype(np.int16)
MARKS = (VOXELS > 700).astype(np.uint8)


def describe(folder, content, encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content), encoding=encoding)


def decathlon(folder, encoding="utf-8", **description):
    pairs = []
    for name in ("c1", "c2"):
        save(folder / "imagesTr" / f"{name}.nii.gz", VOXELS)
        save(folder / "labelsTr" / f"{name}.nii.gz", MARKS)
        pairs.append({"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"})
    content = {"labels": {"0": "background", "1": "t"}, "training": pairs} | description
    describe(folder, content, encoding)
    return pairs


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_description_may_be_saved_by_any_editor(tmp_path, encoding):
    decathlon(tmp_path, encoding, labels={"0": "Hintergrund", "1": "Läsion"})
    assert read("msd", tmp_path, masks=True).classes == ["Hintergrund", "Läsion"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({str(n): f"c{n}" for n in range(70)}, "names 70 classes, .* at most 64"),
        ({"0": "background", "1": "Tumour", "2": "tumour"}, "names a class twice: tumour"),
        ({"0": "background", "2": "b"}, "numbers the labels 0, 2"),
        ({"0": "background"}, "names 1 classes"),
        ({"0": "background", "1": "x" * 65}, "from 1 to 64"),
        ({"0": "background", "1": ""}, "from 1 to 64"),
        ({"0": "background", "Infinity": "b"}, "not a Decathlon description"),
        ([1], "not a Decathlon description"),
    ],
)
def test_classes_that_no_project_can_have_are_refused_in_words(tmp_path, labels, words):
    decathlon(tmp_path, labels=labels)
    with pytest.raises(VolumeInvalid, match=rf"dataset\.json .*{words}"):
        read("msd", tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"labels": 1e999}', "\0", '{"training": 3}'])
def test_a_description_of_nonsense(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    for layout in ("msd", "nnunet"):
        with pytest.raises(VolumeInvalid, match=r"dataset\.json"):
            read(layout, tmp_path)
    with pytest.raises(VolumeInvalid, match="of no layout that is known"):
        detect_layout(tmp_path)


def test_a_task_that_we_exported_keeps_splits_and_unlabelled_slices(tmp_path):
    pairs = decathlon(tmp_path)
    for pair, split in zip(pairs, ("test", "pool"), strict=True):
        pair["split"] = split
    describe(
        tmp_path,
        {"labels": {"0": "a", "1": "b"}, "unlabelled": 255, "training": pairs, "test": ["./x.nii"]},
    )
    marks = MARKS.copy()
    marks[..., 2] = 255
    save(tmp_path / "labelsTr" / "c1.nii.gz", marks)
    data_set = read("msd", tmp_path, masks=True)
    assert data_set.splits == {"c1": Split.TEST, "c2": Split.POOL}
    assert data_set.cases[0].read().unlabelled == {2}
    assert list(data_set.left_out.values()) == ['it is listed under "test", without a label']


def nnunet(folder, labels=None, channels=("CT",), ending=".nii.gz", **more):
    for case in ("c1", "c2"):
        for n in range(len(channels)):
            save(folder / "imagesTr" / f"{case}_{n:04d}.nii.gz", VOXELS + n)
        save(folder / "labelsTr" / f"{case}.nii.gz", MARKS)
    names = {str(n): name for n, name in enumerate(channels)}
    labels = labels or {"background": 0, "tumour": 1}
    content = {"channel_names": names, "labels": labels, "numTraining": 2, "file_ending": ending}
    describe(folder, content | more)


@pytest.mark.parametrize("layout", ["nnunet", "msd"])
def test_nnunet_with_a_file_for_each_channel(tmp_path, layout):
    nnunet(tmp_path, channels=("CT", "PET"))
    data_set = read(layout, tmp_path, masks=True)
    assert (data_set.classes, data_set.channels) == (["background", "tumour"], ["CT", "PET"])
    assert [case.name for case in data_set.cases] == ["c1", "c2"]
    volume = data_set.cases[0].read()
    np.testing.assert_array_equal(back(volume, 1), VOXELS + 1)
    assert volume.classes.sum() == MARKS.sum()
    (tmp_path / "imagesTr" / "c2_0001.nii.gz").unlink()
    second = read(layout, tmp_path, masks=True).cases[1]
    with pytest.raises(VolumeInvalid, match=r"case 'c2' has no c2_0001\.nii\.gz"):
        second.read()
    np.testing.assert_array_equal(back(read(layout, tmp_path, "CT").cases[1].read()), VOXELS)
    assert detect_layout(tmp_path)[0] == "nnunet"


def test_regions_of_nnunet_are_named_after_what_they_share(tmp_path):
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    nnunet(tmp_path, regions, regions_class_order=[1, 2, 3])
    data_set = read("nnunet", tmp_path, masks=True)
    assert data_set.classes == ["background", "whole", "whole + core", "enhancing"]
    assert "regions overlap" in data_set.warnings[0]


def test_the_ignore_label_of_nnunet_means_unlabelled(tmp_path):
    nnunet(tmp_path, {"background": 0, "tumour": 1, "ignore": 2})
    marks = MARKS.copy()
    marks[..., 0] = 2
    marks[0, 0, 1] = 2
    save(tmp_path / "labelsTr" / "c1.nii.gz", marks)
    data_set = read("nnunet", tmp_path, masks=True)
    assert data_set.classes == ["background", "tumour"]
    volume = data_set.cases[0].read()
    assert volume.unlabelled == {0, 1}
    assert volume.classes.max() == 1
    assert "labelled in parts" in volume.warnings[0]


def test_splits_of_nnunet(tmp_path):
    nnunet(tmp_path)
    for name in ("t1", "t2"):
        save(tmp_path / "imagesTs" / f"{name}_0000.nii.gz", VOXELS)
    save(tmp_path / "labelsTs" / "t1.nii.gz", MARKS)
    folds = [{"train": ["c1"], "val": ["c2"]}, {"train": ["c2"], "val": ["c1"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    data_set = read("nnunet", tmp_path, masks=True)
    assert data_set.splits == {"c1": Split.POOL, "c2": Split.VALIDATION, "t1": Split.TEST}
    assert [case.name for case in data_set.cases] == ["c1", "c2", "t1"]
    assert list(data_set.left_out) == [str(tmp_path / "imagesTs" / "t2_0000.nii.gz")]
    assert "of its 2 folds the first" in data_set.warnings[0]


def test_cases_that_a_description_of_nnunet_lists(tmp_path):
    nnunet(tmp_path)
    files = {"images": ["imagesTr/c1_0000.nii.gz"], "label": "labelsTr/c2.nii.gz"}
    nnunet(tmp_path, dataset={"one": files})
    data_set = read("nnunet", tmp_path, masks=True)
    assert [case.name for case in data_set.cases] == ["one"]
    np.testing.assert_array_equal(back(data_set.cases[0].read()), VOXELS)
    nnunet(tmp_path, dataset={"one": files | {"label": "../../passwd"}})
    with pytest.raises(VolumeInvalid, match="outside of"):
        read("nnunet", tmp_path)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "a": 1, "b": 1}, "two names"),
        ({"background": 0, "a": 2}, "without a gap"),
        ({"background": 0, "a": "x"}, "numbers from 0 up"),
        ({"background": 0, "a": -1}, "numbers from 0 up"),
        ({"background": 0, "a": 1, "ignore": 1}, "ignore label 1"),
        ({f"c{n}": n for n in range(70)}, "at most 64"),
    ],
)
def test_labels_of_nnunet_that_mean_nothing(tmp_path, labels, words):
    nnunet(tmp_path, labels)
    with pytest.raises(VolumeInvalid, match=rf"dataset\.json .*{words}"):
        read("nnunet", tmp_path, masks=True)


def test_nnunet_of_pictures(tmp_path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    colours = RNG.integers(0, 255, (10, 12, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "imagesTr" / "road_0000.png")
    Image.fromarray((colours[..., 0] > 99).astype(np.uint8)).save(
        tmp_path / "labelsTr" / "road.png"
    )
    names = {"0": "R", "1": "G", "2": "B"}
    labels = {"background": 0, "road": 1}
    describe(tmp_path, {"channel_names": names, "labels": labels, "file_ending": ".png"})
    volume = read_only("nnunet", tmp_path, masks=True)
    found = np.stack([channel.pixels[0] for channel in volume.channels], axis=-1)
    np.testing.assert_array_equal(found, colours)
    assert volume.classes.sum() == (colours[..., 0] > 99).sum()
    only = read_only("nnunet", tmp_path, "G")
    np.testing.assert_array_equal(only.channels[0].pixels[0], colours[..., 1])


def test_nnunet_of_tiff_with_pages(tmp_path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    stack = RNG.integers(0, 4000, (5, 10, 12)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "imagesTr" / "cell_0000.tif", stack)
    tifffile.imwrite(tmp_path / "labelsTr" / "cell.tif", (stack > 2000).astype(np.uint8))
    labels = {"background": 0, "cell": 1}
    describe(tmp_path, {"channel_names": {"0": "x"}, "labels": labels, "file_ending": ".tif"})
    volume = read_only("nnunet", tmp_path, masks=True)
    np.testing.assert_array_equal(volume.channels[0].pixels, stack)
    np.testing.assert_array_equal(volume.classes, stack > 2000)
    assert "spacing is not kept" in volume.warnings[0]
    tifffile.imwrite(tmp_path / "labelsTr" / "cell.tif", np.zeros((6, 10, 12), np.uint8))
    with pytest.raises(VolumeInvalid, match=r"cell\.tif has 6 pages of 12 × 10 pixels"):
        read_only("nnunet", tmp_path, masks=True)
    (tmp_path / "imagesTr" / "cell_0000.tif").write_bytes(b"II*\0hello")
    with pytest.raises(VolumeInvalid, match=r"cell_0000\.tif"):
        read_only("nnunet", tmp_path, masks=True)


def brats(folder, name, marks, sequences, between="_", ending=".nii.gz"):
    for n, sequence in enumerate((*sequences, "seg")):
        voxels = marks if sequence == "seg" else VOXELS + n
        save(folder / name / f"{name}{between}{sequence}{ending}", voxels)


FOUR = np.zeros(VOXELS.shape, dtype=np.uint8)
FOUR[0], FOUR[1, :2], FOUR[2, :3], FOUR[3, :1] = 1, 2, 3, 4
SIZES = {n: int(np.count_nonzero(n == FOUR)) for n in range(1, 5)}


def test_enhancing_tumour_is_3_or_4_in_brats(tmp_path):
    brats(tmp_path, "BraTS_l3", FOUR, ("t1", "t1ce", "t2", "flair"))
    data_set = read("brats", tmp_path, masks=True)
    assert data_set.channels == ["t1", "t1ce", "t2", "flair"]
    assert data_set.cases[0].read().classes.sum() == SIZES[1] + SIZES[3] + SIZES[4]


def test_brats_since_2023(tmp_path):
    brats(tmp_path, "BraTS-GLI-00000-000", FOUR, ("t1n", "t1c", "t2w", "t2f"), "-")
    data_set = read("brats", tmp_path, masks=True)
    assert data_set.channels == ["t1", "t1ce", "t2", "flair"]
    volume = data_set.cases[0].read()
    np.testing.assert_array_equal(back(volume, 3), VOXELS + 3)
    # Since 2024, 4 is the cavity that a resection left.
    assert volume.classes.sum() == SIZES[1] + SIZES[3]
    assert "cavity" in volume.warnings[0]
    assert read("brats", tmp_path, "t2f").channels == ["flair"]
    assert detect_layout(tmp_path)[0] == "brats"


def test_brats_in_upper_case_and_labels_of_other_data_sets(tmp_path):
    brats(tmp_path, "A", np.where(FOUR == 3, 4, FOUR), ("T1", "FLAIR"), ending=".NII.GZ")
    assert read_only("brats", tmp_path, masks=True).classes.sum() == sum(
        SIZES[n] for n in (1, 3, 4)
    )
    brats(tmp_path / "b", "B", FOUR * 2, ("t1", "flair"))
    with pytest.raises(VolumeInvalid, match=r"B_seg.* holds the labels 6, 8"):
        read_only("brats", tmp_path / "b", masks=True)
    brats(tmp_path / "p", "BraTS-PED-00001-000", FOUR, ("t1n", "t2f"), "-")
    with pytest.raises(VolumeInvalid, match="child"):
        read_only("brats", tmp_path / "p", masks=True)


def test_a_folder_of_an_export_says_what_its_labels_are(tmp_path):
    marks = MARKS.copy()
    marks[..., 3] = 255
    save(tmp_path / "images" / "a.nii.gz", VOXELS)
    save(tmp_path / "labels" / "a.nii.gz", marks)
    notes = {"classes": ["background", "lesion"], "ignore": 255, "splits": {"a": "validation"}}
    (tmp_path / "sfumato.json").write_text(json.dumps(notes))
    data_set = read("nifti", tmp_path, masks=True)
    assert data_set.classes == ["background", "lesion"]
    assert data_set.splits == {"a": Split.VALIDATION}
    assert data_set.cases[0].read().unlabelled == {3}
    assert detect_layout(tmp_path)[0] == "nifti"
    (tmp_path / "sfumato.json").write_text('{"splits": {"a": "future"}}')
    with pytest.raises(VolumeInvalid, match=r"sfumato\.json names a split"):
        read("nifti", tmp_path)


def test_what_a_folder_is_taken_for(tmp_path):
    decathlon(tmp_path / "task")
    assert detect_layout(tmp_path / "task")[0] == "msd"
    save(tmp_path / "plain" / "x.nii.gz", VOXELS)
    name, detected = detect_layout(tmp_path / "plain")
    assert (name, detected.words) == ("nifti", "1 NIfTI files")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("hello")
    with pytest.raises(
        VolumeInvalid, match=r"1 × \.txt; the layouts are\n(.*\n)*  nnunet: nnU-Net"
    ):
        detect_layout(tmp_path / "other")
    (tmp_path / "plain" / "y.mha").write_bytes(b"ObjectType = Image")
    with pytest.raises(VolumeInvalid, match=r"several layouts: nifti takes it for .*; nrrd takes"):
        detect_layout(tmp_path / "plain")


def test_a_benchmark_answers_for_labelled_slices_under_their_own_indices(tmp_path):
    for name in ("a", "b", "c"):
        for n in (3, 4, 7, 8):
            for part in ("images", "masks"):
                path = tmp_path / part / name / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((8, 8), n if part == "images" else 1, np.uint8)).save(path)
    (tmp_path / "masks" / "b" / "4.png").unlink()
    ground = read_ground(tmp_path, GroundSettings(layout="png"))
    assert [ground.place(n) for n in ground.slices_of([1])] == [("b", 3), ("b", 7), ("b", 8)]
    assert len(ground) == 11
    (sample,) = ground.samples([1], context=1)
    # 4 has 3 before it, and 5 is not there.
    assert (sample.case, sample.index) == ("a", 4)
    before, here, after = sample.image[:, 0, 0]
    assert before < here == after


def test_places_that_an_export_filled_are_no_slices(tmp_path):
    # Along the file's last axis, which runs from head to feet.
    affine = np.diag([1, 1, -3.0, 1])
    for part, voxels in (("images", VOXELS), ("labels", MARKS)):
        save(tmp_path / part / "a.nii.gz", voxels, affine)
    facts = {"a": {"slice_axis": 2, "missing_slices": [0, 2]}}
    notes = {"classes": ["a", "b"], "ignore": 255, "cases": facts}
    (tmp_path / "sfumato.json").write_text(json.dumps(notes))
    volume = read_only("nifti", tmp_path, masks=True)
    assert volume.indices == (0, 2)
    whole = read_only("nifti", tmp_path, masks=True, plane="coronal")
    assert (whole.depth, whole.indices) == (8, ())
    (tmp_path / "sfumato.json").unlink()
    whole = read_only("nifti", tmp_path, masks=True)
    np.testing.assert_array_equal(volume.channels[0].pixels, whole.channels[0].pixels[[0, 2]])
    np.testing.assert_array_equal(volume.classes, whole.classes[[0, 2]])


def test_folders_of_one_name_are_two_cases(tmp_path):
    for site in ("site1", "site2"):
        brats(tmp_path / "brats" / site, "P1", FOUR, ("t1", "flair"))
    assert [case.name for case in read("brats", tmp_path / "brats").cases] == ["P1", "P1"]
    for part in ("images", "labels"):
        for n, name in enumerate(("a/scan", "a_scan")):
            save(tmp_path / "nifti" / part / f"{name}.nii.gz", MARKS + n)
    cases = read("nifti", tmp_path / "nifti", masks=True).cases
    assert [case.name for case in cases] == ["a_scan", "a_scan"]
    assert [int(case.read().classes.max()) for case in cases] == [1, 2]


def test_one_bad_entry_of_a_decathlon_keeps_no_other_back(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "imagesTr" / f"{name}.nii.gz", VOXELS)
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", MARKS)

    def pair(name, **more):
        return {"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz", **more}

    described = {
        "labels": {"0": "background", "1": "x", "2": "y"},
        "training": [
            pair("a"),
            {"image": "../../../etc/passwd", "label": "labelsTr/a.nii.gz"},
            "imagesTr/a.nii.gz",
            pair("b", split="banana"),
            pair("a"),
            pair("b"),
        ],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    found = find_layout("msd").read(tmp_path, ReadOptions(masks=True))
    assert [case.name for case in found.cases] == ["a", "b"]
    said = list(found.left_out.values())
    for word in ("outside", "no pair", "banana", "taken once"):
        assert any(word in line for line in said), word
