"""Several channels of a case: by name, by number, as colour, or refused by name."""

import json
import zlib

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from app.core.errors import VolumeInvalid
from app.core.project_settings import ProjectSettings
from app.formats.channels import safe_names
from app.formats.layout import ReadOptions, find_layout

RNG = np.random.default_rng(0)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def read(layout, folder, *channels, masks=False):
    return find_layout(layout).read(folder, ReadOptions(masks, channels))


def save(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def volume(value, shape=(5, 4, 3)):
    return np.full(shape, value, dtype=np.int16)


def firsts(case):
    """The value of each channel's first voxel."""
    return [float(c.rescale[0].values(c.pixels)[0, 0, 0]) for c in case.channels]


def decathlon(folder, description, voxels):
    save(folder / "imagesTr" / "a.nii.gz", voxels)
    pair = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    text = {"labels": {"0": "background", "1": "x"}, "training": [pair]} | description
    (folder / "dataset.json").write_text(json.dumps(text))


FOUR = np.stack([volume(n) for n in (10, 20, 30, 40)], axis=-1)


@pytest.mark.parametrize("key", ["modality", "channel_names"])
def test_the_decathlon_description_names_the_channels(tmp_path, key):
    names = {"0": "FLAIR", "1": "T1w", "2": "t1 Gd", "3": "T2w"}
    decathlon(tmp_path, {key: names}, FOUR)
    data_set = read("msd", tmp_path)
    assert data_set.channels == ["FLAIR", "T1w", "t1-Gd", "T2w"]
    assert firsts(data_set.cases[0].read()) == [10, 20, 30, 40]
    ProjectSettings(channels=data_set.channels)
    for asked, channels, values in (
        (["T2w", "FLAIR"], ["T2w", "FLAIR"], [40, 10]),
        (["3", "0"], ["T2w", "FLAIR"], [40, 10]),
        (["t1 Gd"], ["t1-Gd"], [30]),
        (["flair"], ["flair"], [10]),
    ):
        data_set = read("msd", tmp_path, *asked)
        assert data_set.channels == channels
        assert firsts(data_set.cases[0].read()) == values


def test_a_wrong_name_lists_those_on_offer(tmp_path):
    decathlon(tmp_path, {"modality": {"0": "FLAIR", "1": "T1w", "2": "T1gd", "3": "T2w"}}, FOUR)
    for wrong in ("T3", "4", "-1"):
        with pytest.raises(VolumeInvalid, match="FLAIR, T1w, T1gd, T2w with --channel"):
            read("msd", tmp_path, wrong)
    with pytest.raises(VolumeInvalid, match="asked for twice"):
        read("msd", tmp_path, "FLAIR", "0")


def test_a_fourth_dimension_without_names_is_numbered(tmp_path):
    save(tmp_path / "a.nii.gz", FOUR)
    data_set = read("nifti", tmp_path)
    assert data_set.channels == ["channel-0", "channel-1", "channel-2", "channel-3"]
    assert firsts(data_set.cases[0].read()) == [10, 20, 30, 40]
    data_set = read("nifti", tmp_path, "1")
    assert data_set.channels == ["channel-1"]
    assert firsts(data_set.cases[0].read()) == [20]
    # A description that names one channel of several names none of them.
    decathlon(tmp_path / "task", {"modality": {"0": "MRI"}}, FOUR)
    assert len(read("msd", tmp_path / "task").channels) == 4


def test_one_channel_goes_by_whatever_name_is_asked_for(tmp_path):
    save(tmp_path / "a.nii.gz", volume(7))
    assert read("nifti", tmp_path).channels == ["image"]
    for name, expected in (("T2", "T2"), ("0", "image"), ("T 2*", "T-2")):
        data_set = read("nifti", tmp_path, name)
        assert data_set.channels == [expected]
        assert firsts(data_set.cases[0].read()) == [7]
    with pytest.raises(VolumeInvalid, match="there is no 1"):
        read("nifti", tmp_path, "1")


def test_too_many_channels_for_a_project(tmp_path):
    save(tmp_path / "a.nii.gz", np.zeros((3, 3, 3, 20), dtype=np.uint8))
    with pytest.raises(VolumeInvalid, match="20 channels, a project has at most 16"):
        read("nifti", tmp_path)
    assert read("nifti", tmp_path, "19").channels == ["channel-19"]


def test_a_case_with_another_number_of_channels_is_refused_by_name(tmp_path):
    save(tmp_path / "a.nii.gz", FOUR)
    save(tmp_path / "b.nii.gz", FOUR[..., :3])
    first, second = read("nifti", tmp_path).cases
    assert len(first.read().channels) == 4
    with pytest.raises(VolumeInvalid, match=r"b\.nii\.gz holds 3 channels.*has 4"):
        second.read()


def brats(folder, name, *sequences, **affines):
    for n, sequence in enumerate(sequences):
        path = folder / name / f"{name}_{sequence}.nii.gz"
        save(path, volume(10 * (n + 1)), affines.get(sequence))


def test_brats_takes_all_sequences_and_names_the_cases_that_lack_one(tmp_path):
    brats(tmp_path, "a", "t1", "t1ce", "t2", "flair", "seg")
    brats(tmp_path, "b", "t1", "t2", "flair", "seg")
    data_set = read("brats", tmp_path)
    assert data_set.channels == ["t1", "t1ce", "t2", "flair"]
    whole, lacking = data_set.cases
    assert firsts(whole.read()) == [10, 20, 30, 40]
    with pytest.raises(VolumeInvalid, match="case 'b' has no t1ce: it has flair, t1, t2"):
        lacking.read()
    data_set = read("brats", tmp_path, "flair", "t1ce")
    a, b = data_set.cases
    assert (data_set.channels, firsts(a.read())) == (["flair", "t1ce"], [40, 20])
    with pytest.raises(VolumeInvalid, match="case 'b' has no t1ce: it has flair, t1, t2"):
        b.read()


def test_brats_cases_side_by_side_in_one_folder(tmp_path):
    for name in ("a", "b"):
        for sequence in ("t1", "flair"):
            save(tmp_path / f"{name}_{sequence}.nii.gz", volume(1))
    assert [case.name for case in read("brats", tmp_path).cases] == ["a", "b"]


def test_channels_that_do_not_lie_on_each_other_are_refused(tmp_path):
    near, far = np.eye(4), np.eye(4)
    near[0, 3], far[0, 3] = 5e-4, 0.01
    brats(tmp_path, "a", "t1", "t2", t2=near)
    brats(tmp_path, "b", "t1", "t2", t2=far)
    save(tmp_path / "c" / "c_t1.nii.gz", volume(1))
    save(tmp_path / "c" / "c_t2.nii.gz", volume(1, (5, 4, 4)))
    a, b, c = read("brats", tmp_path).cases
    assert len(a.read().channels) == 2
    with pytest.raises(VolumeInvalid, match=r"b_t2\.nii\.gz lies up to 0\.01 mm away"):
        b.read()
    with pytest.raises(VolumeInvalid, match=r"c_t2\.nii\.gz has the shape \(5, 4, 4\)"):
        c.read()


def test_colours_of_nifti(tmp_path):
    voxels = np.zeros((5, 4, 3), dtype=RGB)
    voxels["R"], voxels["G"], voxels["B"] = 1, 2, 3
    save(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(VolumeInvalid, match=r"a\.nii\.gz is coloured: name three channels"):
        read("nifti", tmp_path)
    data_set = read("nifti", tmp_path, "x", "y", "z")
    assert data_set.channels == ["x", "y", "z"]
    assert firsts(data_set.cases[0].read()) == [1, 2, 3]
    data_set = read("nifti", tmp_path, "blue", "0", "green")
    assert data_set.channels == ["blue", "red", "green"]
    assert firsts(data_set.cases[0].read()) == [3, 1, 2]


def test_a_coloured_case_among_grey_ones_is_refused_by_name(tmp_path):
    save(tmp_path / "a.nii.gz", volume(1))
    save(tmp_path / "b.nii.gz", np.zeros((5, 4, 3), dtype=RGB))
    grey, coloured = read("nifti", tmp_path).cases
    grey.read()
    with pytest.raises(VolumeInvalid, match=r"b\.nii\.gz is coloured"):
        coloured.read()


def pictures(folder, *images, part="images", ending="png"):
    for n, image in enumerate(images):
        path = folder / part / "p1" / f"{n:03d}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


COLOURED = RNG.integers(0, 256, (6, 5, 3)).astype(np.uint8)


def palette():
    """Pixels that are indices of a table of colours, and the colours that they stand for."""
    image = Image.fromarray(COLOURED).quantize(16)
    return image, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("kind", ["rgb", "opaque", "palette"])
def test_coloured_pictures_need_three_names(tmp_path, kind, ending):
    image, colours = palette() if kind == "palette" else (Image.fromarray(COLOURED), COLOURED)
    pictures(tmp_path, image.convert("RGBA") if kind == "opaque" else image, ending=ending)
    for asked in ((), ("red",)):
        with pytest.raises(VolumeInvalid, match=r"000\.\w+ is coloured: name three"):
            read("png", tmp_path, *asked).cases[0].read()
    with pytest.raises(VolumeInvalid, match="name one for grey"):
        read("png", tmp_path, "red", "green")
    data_set = read("png", tmp_path, "red", "green", "blue")
    case = data_set.cases[0].read()
    assert data_set.channels == ["red", "green", "blue"]
    np.testing.assert_array_equal(np.stack([c.pixels[0] for c in case.channels], -1), colours)
    assert case.geometry is None


def test_a_palette_mask_stays_indices(tmp_path):
    image, _ = palette()
    pictures(tmp_path, Image.fromarray(COLOURED[..., 0]))
    pictures(tmp_path, image, part="masks")
    case = read("png", tmp_path, masks=True).cases[0].read()
    np.testing.assert_array_equal(case.classes[0], np.asarray(image))


def test_grey_pictures_where_colours_are_asked_for(tmp_path):
    pictures(tmp_path, Image.fromarray(COLOURED[..., 0]))
    with pytest.raises(VolumeInvalid, match=r"000\.png is grey, but three channels"):
        read("png", tmp_path, "a", "b", "c").cases[0].read()


def test_colours_that_cannot_be_kept_are_refused(tmp_path):
    clear = np.dstack([COLOURED, np.full((6, 5), 9, np.uint8)])
    pictures(tmp_path, Image.fromarray(clear))
    with pytest.raises(VolumeInvalid, match=r"000\.png: the image has transparent pixels"):
        read("png", tmp_path, "a", "b", "c").cases[0].read()
    # Sixteen bits a colour, which Pillow would cut to eight in silence.
    path = tmp_path / "images" / "p1" / "000.png"
    body = bytearray(path.read_bytes())
    body[24] = 16
    body[29:33] = zlib.crc32(body[12:29]).to_bytes(4, "big")
    path.write_bytes(body)
    with pytest.raises(VolumeInvalid, match=r"000\.png: .*(16 bits a colour|is damaged)"):
        read("png", tmp_path, "a", "b", "c").cases[0].read()
    path.write_bytes(b"hello")
    with pytest.raises(VolumeInvalid, match=r"000\.png: .*is not a whole PNG or TIFF"):
        read("png", tmp_path).cases[0].read()


def test_names_are_made_fit_for_a_project():
    names = safe_names(["T1 (post)", "T1 (post)", "", "…", "x" * 50, "a/b", "_t2"])
    assert names[:4] == ("T1-post", "T1-post-2", "channel-2", "channel-3")
    assert names[5:] == ("a-b", "t2")
    ProjectSettings(channels=list(names))
