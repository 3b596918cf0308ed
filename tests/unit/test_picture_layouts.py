"""Pictures as cases: by folders, by pattern, and with COCO annotations."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from app.core.errors import VolumeInvalid
from app.core.rescale import Rescale
from app.core.splits import Split
from app.formats.coco_regions import region_of
from app.formats.detecting import detect_layout
from tests.unit.volumes import read, read_only

RNG = np.random.default_rng(0)
SIZE = (20, 30)


def grey(seed=0, size=SIZE):
    return np.random.default_rng(seed).integers(0, 255, size).astype(np.uint8)


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def case(folder, indices=(0, 1, 2), name="c", masks=True):
    for n in indices:
        picture(folder / "images" / name / f"{n:03d}.png", grey(n))
        if masks:
            picture(folder / "masks" / name / f"{n:03d}.png", (grey(n) > 200).astype(np.uint8))


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    case(tmp_path)
    for name in ("._000.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "images" / "c" / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "__MACOSX" / "images" / "c").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "images" / "c" / "._001.png").write_bytes(b"\0")
    data_set = read("png", tmp_path, masks=True)
    assert data_set.left_out == {}
    volume = data_set.cases[0].read()
    np.testing.assert_array_equal(volume.channels[0].pixels, [grey(n) for n in range(3)])
    assert (volume.classes > 0).sum() == sum((grey(n) > 200).sum() for n in range(3))


def test_numbers_that_are_missing_stay_empty(tmp_path):
    case(tmp_path, (3, 7, 8, 10))
    volume = read_only("png", tmp_path, masks=True)
    assert (volume.first_index, volume.indices) == (3, (3, 7, 8, 10))
    assert [volume.index_of(n) for n in range(4)] == [3, 7, 8, 10]
    assert "there is no slice 4 to 6, 9: these places stay empty" in volume.warnings[0]


@pytest.mark.parametrize("name", ["²", "٣", "cover", "1.5", "-1", "1234567"])
def test_what_is_no_number_is_left_out_by_name(tmp_path, name):
    case(tmp_path)
    (tmp_path / "images" / "²").mkdir()
    odd = picture(tmp_path / "images" / "c" / f"{name}.png", grey())
    alone = picture(tmp_path / "images" / "odd" / f"{name}.png", grey())
    first, second = read("png", tmp_path).cases
    assert list(first.read().left_out) == [str(odd)]
    with pytest.raises(VolumeInvalid, match="has no index") as refused:
        second.read()
    assert str(alone) in str(refused.value)


def test_two_pictures_of_one_index(tmp_path):
    case(tmp_path, (4,))
    picture(tmp_path / "images" / "c" / "4.tif", grey())
    with pytest.raises(VolumeInvalid, match=r"004\.png and .*4\.tif have the same index"):
        read_only("png", tmp_path)


def test_the_first_of_another_size_is_named(tmp_path):
    case(tmp_path)
    picture(tmp_path / "images" / "c" / "001.png", grey(size=(20, 31)))
    with pytest.raises(VolumeInvalid, match=r"001\.png has 31 × 20 pixels, .*000\.png"):
        read_only("png", tmp_path)
    case(tmp_path)
    picture(tmp_path / "masks" / "c" / "002.png", grey(size=(21, 30)))
    with pytest.raises(VolumeInvalid, match=r"masks/c/002\.png has 30 × 21 pixels, its picture"):
        read_only("png", tmp_path, masks=True)


@pytest.mark.parametrize("body", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_cannot_be_read_drops_no_slice(tmp_path, body):
    case(tmp_path)
    (tmp_path / "images" / "c" / "001.png").write_bytes(body)
    with pytest.raises(VolumeInvalid, match=r"001\.png"):
        read_only("png", tmp_path)


def test_a_slice_without_mask_is_unlabelled(tmp_path):
    case(tmp_path)
    (tmp_path / "masks" / "c" / "001.png").unlink()
    volume = read_only("png", tmp_path, masks=True)
    assert volume.unlabelled == {1}
    assert "1 slices have no mask" in volume.warnings[0]
    case(tmp_path / "none", masks=False)
    with pytest.raises(VolumeInvalid, match="has no masks"):
        read_only("png", tmp_path / "none", masks=True)


def test_pictures_by_pattern(tmp_path):
    for n in range(2):
        for m, channel in enumerate(("T1", "T2")):
            picture(tmp_path / "data" / f"pat-{n}_s4_{channel}.png", grey(10 * n + m))
            picture(tmp_path / "data" / f"pat-{n}_s5_{channel}.png", grey(10 * n + m + 5))
        picture(tmp_path / "seg" / f"pat-{n}" / "5.png", (grey(n) > 100).astype(np.uint8))
    patterns = {"images": "data/{case}_s{index}_{channel}.png", "labels": "seg/{case}/{index}.png"}
    data_set = read("png", tmp_path, masks=True, **patterns)
    assert (data_set.channels, [c.name for c in data_set.cases]) == (
        ["T1", "T2"],
        ["pat-0", "pat-1"],
    )
    volume = data_set.cases[1].read()
    assert (volume.first_index, volume.indices, volume.unlabelled) == (4, (), {0})
    np.testing.assert_array_equal(volume.channels[1].pixels, [grey(11), grey(16)])
    single = read("png", tmp_path, images="data/{case}.png")
    assert len(single.cases) == 8
    np.testing.assert_array_equal(single.cases[0].read().channels[0].pixels[0], grey(0))


def test_pictures_that_we_exported_keep_values_place_and_splits(tmp_path):
    case(tmp_path, (5, 6))
    affine = np.diag([-0.5, -0.5, 3, 1]).tolist()
    way = {"offset": -1024, "slope": 2.0, "intercept": 1.0, "unit": "HU"}
    notes = {
        "classes": ["background", "lesion"],
        "channels": ["CT"],
        "splits": {"c": "test"},
        "cases": {"c": {"affine": affine, "rescale": {"CT": way}}},
    }
    (tmp_path / "sfumato.json").write_text(json.dumps(notes))
    (tmp_path / "masks" / "c" / "006.png").unlink()
    data_set = read("png", tmp_path, masks=True)
    assert (data_set.classes, data_set.splits) == (["background", "lesion"], {"c": Split.TEST})
    volume = data_set.cases[0].read()
    assert volume.channels[0].rescale == (Rescale(-1024, 2.0, 1.0, "HU"),)
    assert volume.geometry.to_list() == affine
    assert (volume.unlabelled, volume.warnings) == ({1}, ())


def rle(region):
    found = coco_mask.encode(np.asfortranarray(region, dtype=np.uint8))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def coco(folder, annotations, images=None, categories=None, file="annotations/instances.json"):
    images = images or [
        {"id": n, "file_name": f"c/{n:03d}.png", "height": SIZE[0], "width": SIZE[1]}
        for n in range(2)
    ]
    categories = categories or [{"id": 7, "name": "liver"}, {"id": 3, "name": "tumour"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(content))


def annotation(segmentation, category=7, image=0, **more):
    return {
        "id": 5,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
    } | more


def half(start, stop):
    region = np.zeros(SIZE, dtype=bool)
    region[:, start:stop] = True
    return region


def test_run_lengths_and_polygons_of_coco(tmp_path):
    case(tmp_path, (0, 1), masks=False)
    polygon = [[2, 2, 10, 2, 10, 8, 2, 8]]
    counts = {"size": list(SIZE), "counts": [100, 40, 460]}
    coco(
        tmp_path,
        [
            annotation(rle(half(20, 25)), 3),
            annotation(polygon, 7),
            annotation(counts, 7, image=1, iscrowd=1),
        ],
    )
    data_set = read("coco", tmp_path, masks=True)
    assert data_set.classes == ["background", "tumour", "liver"]
    volume = data_set.cases[0].read()
    np.testing.assert_array_equal(volume.classes[0] == 1, half(20, 25))
    assert (volume.classes[0] == 2).sum() == 48
    np.testing.assert_array_equal(volume.classes[1] == 2, half(5, 7))
    assert "1 regions of crowds" in volume.warnings[0]
    np.testing.assert_array_equal(volume.channels[0].pixels, [grey(0), grey(1)])
    assert detect_layout(tmp_path) == ("coco", detect_layout(tmp_path)[1])


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (annotation(rle(half(3, 9)), 3), "overlaps with one of another class in 40 pixels"),
        (annotation({"size": [4, 4], "counts": [16]}), r"are of \[4, 4\]"),
        (annotation({"size": list(SIZE), "counts": [5]}), "have 5 pixels"),
        (annotation({"size": list(SIZE), "counts": ""}), "have 0 pixels"),
        (annotation({"size": list(SIZE), "counts": [-5, 605]}), "have 600 pixels"),
        (annotation({"size": list(SIZE), "counts": "\x00"}), "no text of COCO"),
        (annotation({"size": list(SIZE), "counts": "P" * 1000}), "run lengths"),
        (annotation([[1, 2, 3]]), "at least three corners"),
        (annotation([[0, 0, 1e12, 0, 5, 5]]), "far outside"),
        (annotation([[0, 0, None, 0, 5, 5]]), "cannot be drawn"),
        (annotation([]), "neither polygons nor run lengths"),
        (annotation("x"), "neither polygons nor run lengths"),
        ({"id": 9, "image_id": 0, "category_id": 7, "bbox": [1, 2, 3, 4]}, "no 'segmentation'"),
        (annotation(rle(half(0, 1)), 99), "no 99"),
    ],
)
def test_what_is_not_clear_in_coco_leaves_the_slice_without_mask(tmp_path, second, words):
    case(tmp_path, (0, 1), masks=False)
    coco(tmp_path, [annotation(rle(half(0, 5))), second])
    volume = read_only("coco", tmp_path, masks=True)
    assert volume.unlabelled == {0}
    assert not volume.classes.any()
    (line,) = volume.warnings
    assert re.search(rf"000\.png: annotation .*{words}.*: it comes in without a mask", line)


def test_run_lengths_are_those_of_pycocotools():
    for seed in range(20):
        region = np.random.default_rng(seed).random((9, 700)) < seed / 20
        np.testing.assert_array_equal(region_of(rle(region), 9, 700), region)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": [{"id": 0}]}, "not an annotation file"),
        ({"annotations": [annotation(rle(half(0, 1)), image=77)]}, "image 77"),
        ({"categories": [{"id": n, "name": f"c{n}"} for n in range(70)]}, "at most 64"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]}, "twice"),
    ],
)
def test_annotation_files_that_are_none(tmp_path, change, words):
    case(tmp_path, (0, 1), masks=False)
    coco(tmp_path, **({"annotations": []} | change))
    with pytest.raises(VolumeInvalid, match=rf"instances\.json .*{words}"):
        read("coco", tmp_path, masks=True)


def test_pictures_of_coco_that_are_not_there_or_of_another_size(tmp_path):
    case(tmp_path, (0,), masks=False)
    coco(tmp_path, [])
    with pytest.raises(VolumeInvalid, match=r"001\.png is not there"):
        read_only("coco", tmp_path)
    for n in (0, 1):
        picture(tmp_path / "images" / "c" / f"{n:03d}.png", grey(size=(30, 20)))
    with pytest.raises(VolumeInvalid, match=r"000\.png has 20 × 30 pixels, .* says 30 × 20"):
        read_only("coco", tmp_path)


def test_photographs_of_coco_are_cases_of_one_slice(tmp_path):
    pixels = np.stack([grey(n) for n in range(3)], axis=-1)
    path = picture(tmp_path / "val2017" / "photo.jpg", pixels)
    images = [{"id": 1, "file_name": "photo.jpg", "height": 20, "width": 30}]
    coco(tmp_path, [], images, file="annotations/instances_val2017.json")
    data_set = read("coco", tmp_path, "r", "g", "b", masks=True)
    assert data_set.splits == {"photo": Split.VALIDATION}
    volume = data_set.cases[0].read()
    shown = np.asarray(Image.open(path))
    found = np.stack([channel.pixels[0] for channel in volume.channels], axis=-1)
    np.testing.assert_array_equal(found, shown)
    assert volume.unlabelled == frozenset()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, exif=exif)
    with pytest.raises(VolumeInvalid, match=r"photo\.jpg is to be shown turned"):
        read_only("coco", tmp_path, "r", "g", "b")


def test_coco_that_we_exported(tmp_path):
    case(tmp_path, (3, 4, 6), masks=False)
    images = [
        {"id": n, "file_name": f"images/c/{n:03d}.png", "height": 20, "width": 30}
        | {"case": "the case", "index": n, "split": "test"}
        for n in (3, 4, 6)
    ]
    coco(tmp_path, [annotation(rle(half(1, 3)), 3, 3)], images[:2], file="instances.json")
    (tmp_path / "unlabelled.json").write_text(json.dumps({"images": images[2:]}))
    (tmp_path / "sfumato.json").write_text(json.dumps({"channels": ["T1"]}))
    data_set = read("coco", tmp_path, masks=True)
    assert data_set.splits == {"the case": Split.TEST}
    volume = data_set.cases[0].read()
    assert (volume.indices, volume.unlabelled) == ((3, 4, 6), {2})
    assert volume.classes[0].sum() == 40
    assert not volume.classes[1].any()
