"""NIfTI files as they come from the field: taken exactly, or refused by name with what to do."""

import gzip
import json
import re
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from app.core.errors import VolumeInvalid
from app.formats.nifti_cases import read_nifti
from tests.unit.volumes import back, patched, read, read_only, save

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(0, 900, (6, 5, 4)).astype(np.int16)
AFFINE = np.diag([0.8, 0.9, 3.0, 1.0])
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])

# Where fields begin in a header of the first version.
DIM, DATATYPE, PIXDIM, VOX_OFFSET, SLOPE, UNITS = 40, 70, 76, 108, 112, 123
QFORM_CODE, SFORM_CODE, QUATERN, SROW_X, MAGIC = 252, 254, 256, 280, 344


@pytest.mark.parametrize(
    ("offset", "form", "values", "words"),
    [
        (DATATYPE, "h", [999], "type of number that NIfTI does not have .*999"),
        (DATATYPE, "h", [1], "single bits"),
        (DIM, "8h", [3, 6, 0, 4, 1, 1, 1, 1], "shape .6, 0, 4.: it holds no voxels"),
        (DIM, "8h", [3, 6, -5, 4, 1, 1, 1, 1], "shape .6, -5, 4.: it holds no voxels"),
        (DIM, "h", [0], "0 dimensions"),
        (DIM, "h", [-3], "-3 dimensions"),
        (DIM, "h", [77], "77 dimensions"),
        (DIM, "8h", [5, 2, 2, 2, 3, 5, 1, 1], "at most one more for channels"),
        (DIM, "8h", [3, 32767, 32767, 2, 1, 1, 1, 1], "is cut off, or its header is wrong"),
        (VOX_OFFSET, "f", [np.nan], "begin at byte nan"),
        (VOX_OFFSET, "f", [0], "begin at byte 0"),
        (VOX_OFFSET, "f", [-8], "begin at byte -8"),
        (VOX_OFFSET, "f", [1e9], "cut off, or its header is wrong"),
        (SLOPE, "2f", [np.inf, 0], "slope inf"),
        (SLOPE, "2f", [1, np.nan], "intercept nan"),
        (MAGIC, "4s", [b"abc\0"], "older Analyze format"),
        (MAGIC, "4s", [b"\0\0\0\0"], "older Analyze format"),
        (0, "i", [12345], "does not begin with a NIfTI header"),
        (68, "h", [3002], "grayordinates"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused_and_the_next_file_comes_in(
    tmp_path, offset, form, values, words
):
    save(tmp_path / "good.nii.gz", VOXELS)
    patched(save(tmp_path / "bad.nii", VOXELS), offset, form, *values)
    bad, good = read("nifti", tmp_path).cases
    with pytest.raises(VolumeInvalid, match=rf"bad\.nii .*{words}"):
        bad.read()
    np.testing.assert_array_equal(back(good.read()), VOXELS)


def test_a_header_that_claims_gigabytes_costs_nothing(tmp_path):
    claims = [4, 30000, 30000, 2, 2, 1, 1, 1]
    plain = patched(save(tmp_path / "a.nii", VOXELS), DIM, "8h", *claims)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain.read_bytes()))
    tracemalloc.start()
    for name in ("a.nii", "b.nii.gz"):
        with pytest.raises(VolumeInvalid, match=rf"{name} is cut off, or its header is wrong"):
            read_nifti([tmp_path / name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_packed_file_that_goes_on_and_on_is_refused(tmp_path):
    """A few hundred kilobytes that would unpack to far more than the header says."""
    plain = save(tmp_path / "a.nii", VOXELS).read_bytes()
    with gzip.open(tmp_path / "b.nii.gz", "wb", compresslevel=1) as packed:
        packed.write(plain)
        for _ in range(70):
            packed.write(bytes(2**20))
    assert (tmp_path / "b.nii.gz").stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(VolumeInvalid, match=r"b\.nii\.gz holds far more than its header says"):
        read_nifti([tmp_path / "b.nii.gz"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "header", "text"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = save(tmp_path / "a.nii.gz", RNG.integers(0, 255, (20, 20, 20)).astype(np.uint8))
    body = bytearray(path.read_bytes())
    if damage == "flipped":
        # The checksum alone shows it.
        body[-6] ^= 255
    cut = {"empty": b"", "cut": body[:2000], "flipped": body, "header": body[:60], "text": b"hello"}
    path.write_bytes(cut[damage])
    words = "0 bytes" if damage == "empty" else "cut off or damaged|not a readable NIfTI file"
    with pytest.raises(VolumeInvalid, match=rf"a\.nii\.gz .*({words})"):
        read_nifti([path])


def test_what_a_file_is_shows_in_its_bytes(tmp_path):
    packed = save(tmp_path / "a.nii.gz", VOXELS, AFFINE).read_bytes()
    (tmp_path / "b.nii").write_bytes(packed)
    (tmp_path / "c.nii.gz").write_bytes(gzip.decompress(packed))
    (tmp_path / "D.NII.GZ").write_bytes(packed)
    cases = read("nifti", tmp_path).cases
    assert [case.name for case in cases] == ["a", "b", "c", "D"]
    for case in cases:
        np.testing.assert_array_equal(back(case.read()), VOXELS)


@pytest.mark.parametrize("endings", [(".hdr", ".img"), (".HDR", ".IMG"), (".hdr.gz", ".img.gz")])
def test_a_pair_of_header_and_image_is_one_case(tmp_path, endings):
    nib.save(nib.Nifti1Pair(VOXELS, AFFINE), tmp_path / "x.hdr")
    for ending, own in zip(endings, (".hdr", ".img"), strict=True):
        body = (tmp_path / f"x{own}").read_bytes()
        (tmp_path / f"x{own}").unlink()
        packed = gzip.compress(body) if ending.endswith(".gz") else body
        (tmp_path / f"pair{ending}").write_bytes(packed)
    data_set = read("nifti", tmp_path)
    (case,) = data_set.cases
    assert case.name == "pair"
    np.testing.assert_array_equal(back(case.read()), VOXELS)
    assert data_set.left_out == {}


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">f8", ">u2", "u1", "<i4"])
def test_bytes_in_either_order(tmp_path, dtype):
    voxels = (VOXELS % 250).astype(dtype)
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(voxels, AFFINE, header), tmp_path / "a.nii")
    volume = read_nifti([tmp_path / "a.nii"], tmp_path / "a.nii")
    np.testing.assert_array_equal(back(volume), voxels)
    np.testing.assert_array_equal(volume.classes, volume.channels[0].pixels)
    assert volume.source["dtype"] == voxels.dtype.name


def test_more_voxels_than_the_header_says_are_told(tmp_path):
    path = save(tmp_path / "a.nii", VOXELS)
    patched(path, DIM, "8h", 3, 6, 5, 3, 1, 1, 1, 1)
    assert "60 bytes more than its header says" in read_nifti([path]).warnings[0]


def test_half_a_pair(tmp_path):
    nib.save(nib.Nifti1Pair(VOXELS, AFFINE), tmp_path / "x.hdr")
    (tmp_path / "y.img").write_bytes((tmp_path / "x.img").read_bytes())
    (tmp_path / "x.img").unlink()
    data_set = read("nifti", tmp_path)
    with pytest.raises(VolumeInvalid, match=r"x\.hdr .* ends in \.img too"):
        data_set.cases[0].read()
    assert len(data_set.cases) == 2
    with pytest.raises(VolumeInvalid, match=r"y\.img"):
        data_set.cases[1].read()


def without_sform(path, *, code=1, qform=True):
    """A file whose sform has a column of zeros."""
    image = nib.Nifti1Image(VOXELS, None)
    if qform:
        image.set_qform(AFFINE, 1)
    image.header.set_zooms((0.8, 0.9, 3.0))
    nib.save(image, path)
    patched(path, SROW_X, "12f", *np.diag([0.8, 0, 3, 1])[:3].reshape(-1))
    return patched(path, SFORM_CODE, "h", code)


def test_a_singular_sform_gives_way_to_the_qform(tmp_path):
    volume = read_nifti([without_sform(tmp_path / "a.nii")])
    np.testing.assert_allclose(np.abs(volume.geometry.affine[:3, :3]).max(0), [0.8, 0.9, 3])
    (line,) = volume.warnings
    assert re.search(r"a\.nii: its sform is singular or no numbers: its qform is taken", line)
    np.testing.assert_array_equal(back(volume), VOXELS)


def test_a_singular_sform_without_qform_gives_way_to_the_spacing(tmp_path):
    volume = read_nifti([without_sform(tmp_path / "a.nii", qform=False)])
    assert vars(volume.geometry.spacing) == pytest.approx({"row": 0.9, "column": 0.8, "slice": 3.0})
    assert len(volume.warnings) == 2
    assert "does not say where it lies" in volume.warnings[1]


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf, -1.0])
def test_a_header_that_places_no_voxel_is_refused(tmp_path, wrong):
    path = without_sform(tmp_path / "a.nii")
    patched(path, PIXDIM + 4, "3f", 0.8, wrong, 3.0)
    with pytest.raises(VolumeInvalid, match=r"a\.nii has a wrong header.*fix the file"):
        read_nifti([path])


def test_a_header_without_codes_says_so(tmp_path):
    nib.save(nib.Nifti1Image(VOXELS, None), tmp_path / "a.nii")
    (line,) = read_nifti([tmp_path / "a.nii"]).warnings
    assert "does not say where it lies" in line


def test_two_places_in_one_header_are_told(tmp_path):
    image = nib.Nifti1Image(VOXELS, AFFINE)
    image.set_qform(np.diag([0.8, 0.9, 4.5, 1]), 1)
    image.header["sform_code"] = 2
    nib.save(image, tmp_path / "a.nii")
    assert "differ by up to" in read_nifti([tmp_path / "a.nii"]).warnings[0]
    image.set_qform(AFFINE, 1)
    nib.save(image, tmp_path / "b.nii")
    assert read_nifti([tmp_path / "b.nii"]).warnings == ()


@pytest.mark.parametrize(("unit", "scale"), [("meter", 1e-3), ("micron", 1e3)])
def test_lengths_in_other_units_become_millimetres(tmp_path, unit, scale):
    affine = AFFINE * scale
    affine[3, 3] = 1
    image = nib.Nifti1Image(VOXELS, affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_nifti([tmp_path / "a.nii"])
    spacing = {"row": 0.9, "column": 0.8, "slice": 3.0}
    assert vars(volume.geometry.spacing) == pytest.approx(spacing)
    assert "0.8 × 0.9 × 3 mm" in volume.warnings[0]


def test_complex_numbers_and_nan_are_refused(tmp_path):
    save(tmp_path / "c.nii", VOXELS.astype(np.complex64))
    with pytest.raises(VolumeInvalid, match=r"c\.nii holds complex numbers.*magnitude"):
        read_nifti([tmp_path / "c.nii"])
    voxels = VOXELS.astype(np.float32)
    voxels[0, 0, :2] = np.nan, np.inf
    with pytest.raises(VolumeInvalid, match=r"n\.nii holds 2 voxels that are NaN or infinite"):
        read_nifti([save(tmp_path / "n.nii", voxels)])


def test_a_coloured_file_among_grey_ones(tmp_path):
    colours = np.zeros((5, 4, 3), dtype=RGB)
    colours["R"], colours["G"], colours["B"] = 1, 2, 3
    save(tmp_path / "grey.nii.gz", VOXELS)
    save(tmp_path / "shot.nii.gz", colours)
    grey, shot = read("nifti", tmp_path).cases
    np.testing.assert_array_equal(back(grey.read()), VOXELS)
    with pytest.raises(VolumeInvalid, match=r"shot\.nii\.gz is coloured: name three channels"):
        shot.read()
    grey, shot = read("nifti", tmp_path, "red", "green", "blue").cases
    assert [channel.pixels.max() for channel in shot.read().channels] == [1, 2, 3]
    with pytest.raises(VolumeInvalid, match=r"grey\.nii\.gz is grey"):
        grey.read()


def test_a_sagittal_series_is_cut_as_it_was_acquired(tmp_path):
    # As a scanner's series is converted: the first axis runs down, the third to the left.
    affine = np.array([[0, 0, -5.0, 10], [-0.5, 0, 0, 16], [0, -0.5, 0, 20], [0, 0, 0, 1]])
    voxels = RNG.integers(0, 300, (64, 60, 5)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", voxels, affine)
    volume = read_nifti([path])
    assert volume.channels[0].pixels.shape == (5, 60, 64)
    assert volume.geometry.plane == "sagittal"
    assert "".join(vars(volume.geometry.edges).values()) == "APSI"
    np.testing.assert_array_equal(back(volume), voxels)
    axial = read_only("nifti", tmp_path, plane="axial")
    assert axial.channels[0].pixels.shape == (60, 64, 5)
    np.testing.assert_array_equal(back(axial), voxels)


def test_images_are_found_at_any_depth_and_told_apart(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "scan.nii.gz", VOXELS)
    (tmp_path / "a" / "README.txt").write_text("hello")
    (tmp_path / "a" / "._scan.nii.gz").write_bytes(b"mac")
    data_set = read("nifti", tmp_path)
    assert [case.name for case in data_set.cases] == ["a_scan", "b_scan"]
    assert data_set.left_out == {
        str(tmp_path / "a" / "README.txt"): "it is no volume of this layout"
    }


def test_volumes_by_pattern(tmp_path):
    for case in ("p1", "p2"):
        for n, channel in enumerate(("T1", "T2")):
            save(tmp_path / case / f"{case}_{channel}.nii.gz", VOXELS + n)
        save(tmp_path / "seg" / f"{case}-mask.nii.gz", (VOXELS > 400).astype(np.uint8))
    patterns = {"images": "{case}/{case}_{channel}.nii.gz", "labels": "seg/{case}-mask.*"}
    data_set = read("nifti", tmp_path, masks=True, **patterns)
    assert (data_set.channels, [c.name for c in data_set.cases]) == (["T1", "T2"], ["p1", "p2"])
    volume = data_set.cases[1].read()
    np.testing.assert_array_equal(back(volume, 1), VOXELS + 1)
    assert volume.classes.sum() == (VOXELS > 400).sum()
    second = read("nifti", tmp_path, "T2", masks=True, **patterns).cases[0].read()
    np.testing.assert_array_equal(back(second), VOXELS + 1)
    for wrong in ("{case}/{sequence}.nii.gz", "images/*.nii.gz"):
        with pytest.raises(VolumeInvalid, match="the pattern"):
            read("nifti", tmp_path, images=wrong)
    with pytest.raises(VolumeInvalid, match="no NIfTI files that fit"):
        read("nifti", tmp_path, images="none/{case}.nii")


def test_what_is_kept_of_a_file_holds_no_name_and_no_text(tmp_path):
    image = nib.Nifti1Image(VOXELS, AFFINE)
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        image.header[field] = "Somebody"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Somebody Real"))
    nib.save(image, tmp_path / "Somebody_Real.nii.gz")
    volume = read_nifti([tmp_path / "Somebody_Real.nii.gz"])
    assert "Somebody" not in json.dumps(volume.source)
    np.testing.assert_array_equal(back(volume), VOXELS)
