"""Pictures and COCO out: pixels as they are stored, masks as class indices or run lengths."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from app.core.rescale import Rescale
from app.core.splits import Split
from app.exporting import ExportOptions, export_project
from app.formats.case import CaseVolume, ChannelStack
from app.formats.layout import ReadOptions, find_layout
from tests.exports import keep, labels_of, make_project


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


def export(database, tmp_path, format_):
    out = tmp_path / format_
    export_project(database, "brain", out, ExportOptions(format_))
    return out


HOUNSFIELD = (Rescale(-1024, 1.0, 0.0, "HU"),)


def stack(dtype=np.uint16, depth=3, seed=0, ways=HOUNSFIELD):
    high = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, high, (depth, 5, 7), endpoint=True)
    return ChannelStack(pixels.astype(dtype), ways)


def test_pictures_are_what_is_stored_with_the_way_to_values(database, tmp_path):
    make_project(database, ("background", "a", "b"))
    ways = (Rescale(0, 0.5, 1.0), Rescale(0, 0.25, 1.0), Rescale(0, 0.25, 2.0))
    ct, pet = CaseVolume((stack(),), first_index=5), CaseVolume((stack(ways=ways),))
    keep(database, "ct", ct, labels_of(ct, 3), unlabelled=[1])
    keep(database, "pet", pet, labels_of(pet, 3), split=Split.TEST)
    out = export(database, tmp_path, "png")
    described = json.loads((out / "sfumato.json").read_text())
    assert described["splits"] == {"ct": "pool", "pet": "test"}
    assert described["cases"]["ct"]["labelled"] == [5, 7]
    hounsfield = {"offset": -1024, "slope": 1.0, "intercept": 0.0, "unit": "HU"}
    assert described["cases"]["ct"]["rescale"] == {"image": hounsfield}
    by_index = described["cases"]["pet"]["rescale"]["image"]["by_index"]
    assert by_index["2"] == {"offset": 0, "slope": 0.25, "intercept": 2.0}
    for n in range(3):
        picture = np.asarray(Image.open(out / "images" / "ct" / f"{5 + n:03d}.png"))
        np.testing.assert_array_equal(picture, ct.channels[0].pixels[n])
    assert sorted(p.name for p in (out / "masks" / "ct").iterdir()) == ["005.png", "007.png"]
    mask = np.asarray(Image.open(out / "masks" / "ct" / "007.png"))
    np.testing.assert_array_equal(mask, labels_of(ct, 3)[2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_come_in_again_as_they_were(database, tmp_path, dtype):
    make_project(database)
    volume = CaseVolume((stack(dtype, ways=(Rescale(),)),))
    keep(database, "a", volume, labels_of(volume))
    out = export(database, tmp_path, "png")
    again = find_layout("png").read(out, ReadOptions(masks=True)).cases[0].read()
    np.testing.assert_array_equal(again.channels[0].pixels, volume.channels[0].pixels)
    np.testing.assert_array_equal(again.classes, labels_of(volume))


def test_three_channels_of_8_bits_are_colours_others_lie_apart(database, tmp_path):
    make_project(database, channels=("red", "green", "blue"))
    plain = (Rescale(),)
    colours = CaseVolume(tuple(stack(np.uint8, seed=n, ways=plain) for n in range(3)))
    deep = CaseVolume(tuple(stack(np.uint16, seed=n, ways=plain) for n in range(3)))
    keep(database, "a", colours, labels_of(colours))
    keep(database, "b", deep, labels_of(deep))
    for format_ in ("png", "coco"):
        out = export(database, tmp_path, format_)
        picture = np.asarray(Image.open(out / "images" / "a" / "001.png"))
        expected = np.stack([c.pixels[1] for c in colours.channels], axis=-1)
        np.testing.assert_array_equal(picture, expected)
        green = np.asarray(Image.open(out / "images" / "green" / "b" / "001.png"))
        np.testing.assert_array_equal(green, deep.channels[1].pixels[1])


def test_coco_gives_every_pixel_of_every_class_back(database, tmp_path):
    classes = ("background", "lésion", "cyst")
    make_project(database, classes)
    volume = CaseVolume((stack(),))
    marks = labels_of(volume, 3)
    marks[2] = 0
    keep(database, "a", volume, marks, unlabelled=[1])
    keep(database, "v", volume, marks, split=Split.VALIDATION)
    out = export(database, tmp_path, "coco")
    coco = COCO(out / "instances.json")
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == {1: "lésion", 2: "cyst"}
    found = {}
    for image in coco.loadImgs(coco.getImgIds()):
        assert np.asarray(Image.open(out / image["file_name"])).shape == (5, 7)
        classes_of = np.zeros((image["height"], image["width"]), dtype=np.uint8)
        for one in coco.loadAnns(coco.getAnnIds(image["id"])):
            region = coco.annToMask(one)
            assert one["area"] == region.sum()
            classes_of[region > 0] = one["category_id"]
        found[image["case"], image["index"]] = classes_of
        assert image["split"] == {"a": "train", "v": "val"}[image["case"]]
    # One that shows nothing is listed, one that nobody has drawn is not.
    assert set(found) == {("a", 0), ("a", 2), ("v", 0), ("v", 1), ("v", 2)}
    for (_, index), classes_of in found.items():
        np.testing.assert_array_equal(classes_of, marks[index])
    rest = json.loads((out / "unlabelled.json").read_text())["images"]
    assert [(one["case"], one["index"]) for one in rest] == [("a", 1)]
