"""NRRD and MetaImage: the same voxels and places as SimpleITK reads, or refused by name."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from app.core.errors import VolumeInvalid
from app.formats.nifti_cases import read_nifti
from app.formats.writing import to_nifti
from tests.unit.volumes import back, read, read_only, save

RNG = np.random.default_rng(0)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
TILTED = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def write(path, array, spacing=(0.8, 0.9, 3.0), direction=TILTED, packed=False, vector=False):
    """array: (K, J, I), or with a vector last."""
    image = sitk.GetImageFromArray(array, isVector=vector)
    image.SetSpacing(spacing)
    image.SetOrigin((-30.0, 12.5, 7.0))
    image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=packed)
    return path


def independent(path):
    """(K, J, I) and the affine from (i, j, k) to RAS, by SimpleITK."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), LPS @ affine


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_voxels_and_places_are_those_of_simpleitk(tmp_path, ending, packed, dtype):
    array = RNG.integers(0, 200, (4, 5, 6)).astype(dtype)
    path = write(tmp_path / f"a{ending}", array, packed=packed)
    data_set = read("nrrd", tmp_path)
    assert data_set.left_out == {}
    volume = data_set.cases[0].read()
    expected, affine = independent(path)
    out = back(volume)
    np.testing.assert_array_equal(out.transpose(2, 1, 0), expected)
    np.testing.assert_allclose(volume.source["affine"], affine, atol=1e-9)
    corner = volume.geometry.position(0, 0, 0)
    index = np.linalg.inv(affine) @ [*corner, 1]
    np.testing.assert_allclose(index, np.rint(index), atol=1e-6)
    assert volume.warnings == ()


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_label_map_of_another_format_lies_on_its_image(tmp_path, ending):
    array = RNG.integers(0, 200, (4, 5, 6)).astype(np.int16)
    path = write(tmp_path / "images" / f"a{ending}", array)
    _, affine = independent(path)
    marks = (array.transpose(2, 1, 0) > 100).astype(np.uint8)
    save(tmp_path / "labels" / "a.nii.gz", marks, affine)
    volume = read_only("nrrd", tmp_path, masks=True)
    np.testing.assert_array_equal(volume.classes, volume.channels[0].pixels > 100)
    save(tmp_path / "labels" / "a.nii.gz", marks, affine + 0.5 * np.eye(4, k=3))
    with pytest.raises(VolumeInvalid, match=r"labels/a\.nii\.gz lies up to"):
        read_only("nrrd", tmp_path, masks=True)


def test_several_numbers_a_voxel_are_channels(tmp_path):
    array = RNG.integers(0, 200, (4, 5, 6, 2)).astype(np.int16)
    write(tmp_path / "a.nrrd", array, vector=True)
    data_set = read("nrrd", tmp_path)
    assert data_set.channels == ["channel-0", "channel-1"]
    volume = data_set.cases[0].read()
    for n in range(2):
        np.testing.assert_array_equal(back(volume, n).transpose(2, 1, 0), array[..., n])


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
    ],
)
def test_the_space_of_an_nrrd_file(tmp_path, space, signs):
    header = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: {space}\nsizes: 2 3 4\n"
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nkinds: domain domain domain\n"
        "encoding: raw\nspace origin: (10,20,30)\n\n"
    )
    body = header.encode() + bytes(range(24))
    (tmp_path / "a.nrrd").write_bytes(body)
    volume = read_only("nrrd", tmp_path)
    # Where the file itself says that its first voxel lies.
    expected = np.diag([*signs, 1]) @ [[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.source["affine"], expected)
    np.testing.assert_array_equal(
        back(volume), np.arange(24, dtype=np.uint8).reshape(4, 3, 2).transpose(2, 1, 0)
    )


def test_a_file_that_does_not_say_where_it_lies(tmp_path):
    body = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n\n" + bytes(24)
    (tmp_path / "a.nrrd").write_bytes(body)
    assert "does not say where it lies" in read_only("nrrd", tmp_path).warnings[0]


NRRD = "NRRD0004\ntype: {type}\ndimension: 3\nsizes: {sizes}\nencoding: {encoding}\n{more}\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = {type}\n{more}"


@pytest.mark.parametrize(
    ("sizes", "kind", "encoding", "more", "words"),
    [
        ("2000 2000 1000", "uchar", "raw", "", "promises 4000000000 bytes"),
        ("2000 2000 1000", "uchar", "gzip", "", "promises 4000000000 bytes"),
        ("2 3 4", "short", "raw", "endian: little\n", "cut off"),
        ("2 0 4", "uchar", "raw", "", ""),
        ("2 3 4", "block", "raw", "", ""),
        ("2 3 4", "uchar", "raw", "data file: /etc/passwd\n", "in the same folder"),
        ("2 3 4", "uchar", "raw", "data file: ../a.raw\n", "in the same folder"),
        ("2 3 4", "uchar", "raw", "data file: LIST\na.raw\n", "in the same folder"),
    ],
)
def test_an_nrrd_file_that_cannot_be_right(tmp_path, sizes, kind, encoding, more, words):
    (tmp_path.parent / "a.raw").write_bytes(bytes(24))
    header = NRRD.format(type=kind, sizes=sizes, encoding=encoding, more=more)
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(24))
    with pytest.raises(VolumeInvalid, match=rf"a\.nrrd .*({words})"):
        read_nifti([tmp_path / "a.nrrd"])


@pytest.mark.parametrize(
    ("sizes", "kind", "more", "words"),
    [
        ("2000 2000 1000", "MET_UCHAR", "ElementDataFile = LOCAL\n", "promises 4000000000 bytes"),
        ("2 3 4", "MET_SHORT", "ElementDataFile = LOCAL\n", "cut off"),
        ("2 3 4", "MET_UCHAR", "ElementDataFile = /etc/passwd\n", "in the same folder"),
        ("2 3 4", "MET_UCHAR", "ElementDataFile = ../a.raw\n", "in the same folder"),
        ("2 3 4", "MET_UCHAR", "ElementDataFile = %02d.raw 1 4 1\n", "in the same folder"),
        ("2 3 4", "MET_UCHAR", "", ""),
    ],
)
def test_a_metaimage_that_cannot_be_right(tmp_path, sizes, kind, more, words):
    (tmp_path.parent / "a.raw").write_bytes(bytes(24))
    header = META.format(type=kind, sizes=sizes, more=more)
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(24))
    with pytest.raises(VolumeInvalid, match=rf"a\.mha .*({words})"):
        read_nifti([tmp_path / "a.mha"])


@pytest.mark.parametrize(
    "body", [b"", b"NRRD0004\n", b"hello", gzip.compress(b"x", mtime=0), b"\0" * 500]
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_such_file(tmp_path, body, ending):
    (tmp_path / f"a{ending}").write_bytes(body)
    with pytest.raises(VolumeInvalid, match=rf"a\{ending} "):
        read_nifti([tmp_path / f"a{ending}"])


def test_a_cut_file_is_refused(tmp_path):
    array = RNG.integers(0, 200, (10, 20, 30)).astype(np.int16)
    for ending in (".nrrd", ".mha"):
        for packed in (False, True):
            path = write(tmp_path / f"a{ending}", array, packed=packed)
            path.write_bytes(path.read_bytes()[:-3000])
            with pytest.raises(VolumeInvalid, match=rf"a\{ending} is cut off"):
                read_nifti([path])


def test_itk_reads_our_nifti_in_the_same_place(tmp_path):
    path = write(tmp_path / "a.nrrd", RNG.integers(0, 99, (4, 5, 6)).astype(np.int16))
    volume = read_only("nrrd", tmp_path)
    out = to_nifti(volume.channels[0].pixels, volume.geometry, volume.source)
    nib.save(out, tmp_path / "b.nii.gz")
    voxels, affine = independent(path)
    again, place = independent(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(again, voxels)
    np.testing.assert_allclose(place, affine, atol=1e-4)
