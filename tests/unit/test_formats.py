"""Volumes in: orientation, intensities, layouts, and files that are not what they should be."""

import json

import nibabel as nib
import numpy as np
import pytest

from app.core.errors import UnknownName, VolumeInvalid
from app.formats.layout import DataSet, ReadOptions, find_layout
from app.formats.nifti_cases import read_nifti
from app.formats.phantom import phantom_case, write_phantom
from app.formats.writing import to_nifti
from tests.conftest import SHARED_DATA, picture

RNG = np.random.default_rng(0)


def read(layout: str, folder, *channels: str, masks: bool = False) -> DataSet:
    return find_layout(layout).read(folder, ReadOptions(masks, channels))


def back(volume, channel: int = 0):
    """A channel in the order of the file it came from."""
    stack = volume.channels[channel]
    values = np.stack([stack.rescale_of(n).values(p) for n, p in enumerate(stack.pixels)])
    return np.asarray(to_nifti(values, volume.geometry, volume.source).dataobj)


def save(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.uint8, 0, 255),
        (np.uint16, 0, 4095),
        (np.uint16, 0, 65535),
        (np.int16, -1024, 3071),
        (np.int16, -32768, 32767),
        (np.float32, 0, 900),
    ],
)
def test_whole_numbers_of_up_to_16_bits_survive_exactly(tmp_path, dtype, low, high):
    voxels = RNG.integers(low, high, (6, 5, 4), endpoint=True).astype(dtype)
    volume = read_nifti([save(tmp_path / "a.nii.gz", voxels)])
    assert volume.channels[0].largest_error == 0
    np.testing.assert_array_equal(back(volume), voxels)


def test_floats_are_mapped_to_16_bits_and_the_mapping_is_kept(tmp_path):
    voxels = RNG.standard_normal((6, 5, 4)).astype(np.float32)
    volume = read_nifti([save(tmp_path / "a.nii.gz", voxels)])
    channel = volume.channels[0]
    assert channel.pixels.dtype == np.uint16
    assert np.abs(back(volume) - voxels).max() <= channel.largest_error + 1e-6
    assert 0 < channel.largest_error <= channel.rescale[0].slope * 0.5001
    assert any("a.nii.gz" in line and "rounded" in line for line in volume.warnings)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)])
def test_slices_are_axial_in_radiological_view_however_the_file_lies(tmp_path, flips):
    # A mark at the patient's right, front and top, in a file of any orientation.
    affine = np.diag([*flips, 1.0])
    voxels = np.zeros((7, 6, 5), dtype=np.uint8)
    place = tuple(n - 1 if flip > 0 else 0 for n, flip in zip(voxels.shape, flips, strict=True))
    voxels[place] = 200
    volume = read_nifti([save(tmp_path / "a.nii.gz", voxels, affine)])
    assert volume.channels[0].pixels.shape == (5, 6, 7)
    # Top slice, front row, and the patient's right on the viewer's left.
    assert volume.channels[0].pixels[4, 0, 0] == 200
    np.testing.assert_array_equal(back(volume), voxels)


def test_nan_is_refused_and_counted(tmp_path):
    voxels = np.zeros((4, 4, 3), dtype=np.float32)
    voxels[0, 0, :2] = np.nan
    with pytest.raises(VolumeInvalid, match=r"a\.nii\.gz holds 2 voxels that are NaN"):
        read_nifti([save(tmp_path / "a.nii.gz", voxels)])


def test_one_slice_is_a_case_of_one_slice(tmp_path):
    for shape in ((6, 5), (6, 5, 1), (6, 5, 1, 1)):
        volume = read_nifti([save(tmp_path / "a.nii.gz", np.ones(shape, dtype=np.uint8))])
        assert volume.channels[0].pixels.shape == (1, 5, 6)


def test_a_mask_of_another_shape_names_both_files(tmp_path):
    image = save(tmp_path / "a.nii.gz", np.zeros((4, 4, 3), dtype=np.uint8))
    labels = save(tmp_path / "m.nii.gz", np.zeros((4, 4, 2), dtype=np.uint8))
    with pytest.raises(VolumeInvalid, match=r"m\.nii\.gz.*\(4, 4, 2\).*a\.nii\.gz"):
        read_nifti([image], labels)


def test_a_mask_that_is_no_label_map(tmp_path):
    image = save(tmp_path / "a.nii.gz", np.zeros((4, 4, 3), dtype=np.uint8))
    labels = save(tmp_path / "m.nii.gz", np.full((4, 4, 3), 0.5, dtype=np.float32))
    with pytest.raises(VolumeInvalid, match="whole numbers"):
        read_nifti([image], labels)


@pytest.mark.parametrize("damage", ["missing", "text", "cut"])
def test_a_file_that_cannot_be_read(tmp_path, damage):
    path = tmp_path / "a.nii.gz"
    if damage == "text":
        path.write_text("hello")
    if damage == "cut":
        save(path, RNG.integers(0, 255, (20, 20, 20)).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(VolumeInvalid, match=r"a\.nii\.gz"):
        read_nifti([path])


def test_the_decathlon_layout(tmp_path):
    write_phantom(tmp_path, cases=2, slices=5, size=32, seed=1)
    data_set = read("msd", tmp_path, masks=True)
    assert data_set.classes == ["background", "lesion"]
    assert [case.name for case in data_set.cases] == ["phantom_000", "phantom_001"]
    volume = data_set.cases[0].read()
    image, classes = phantom_case(5, 32, np.random.default_rng([1, 0]))
    np.testing.assert_array_equal(volume.channels[0].pixels, image)
    np.testing.assert_array_equal(volume.classes, classes)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"labels": {"0": "a", "2": "b"}, "training": []}', "{"]
)
def test_a_decathlon_description_that_is_none(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(VolumeInvalid, match=r"dataset\.json"):
        read("msd", tmp_path, masks=True)


def test_a_decathlon_description_does_not_lead_out_of_its_folder(tmp_path):
    pair = {"image": "../../etc/passwd", "label": "./labelsTr/a.nii.gz"}
    description = {"labels": {"0": "background", "1": "x"}, "training": [pair]}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(VolumeInvalid, match="outside"):
        read("msd", tmp_path, masks=True)


def test_the_brats_layout_takes_the_tumour_core(tmp_path):
    folder = tmp_path / "LGG" / "BraTS19_X_1"
    save(folder / "BraTS19_X_1_flair.nii.gz", RNG.integers(0, 900, (6, 6, 3)).astype(np.int16))
    marks = np.zeros((6, 6, 3), dtype=np.uint8)
    marks[0, 0, 0], marks[1, 1, 1], marks[2, 2, 2] = 1, 2, 4
    save(folder / "BraTS19_X_1_seg.nii.gz", marks)
    data_set = read("brats", tmp_path, masks=True)
    assert data_set.classes == ["background", "tumour core"]
    volume = data_set.cases[0].read()
    assert data_set.cases[0].name == "BraTS19_X_1"
    assert volume.classes.sum() == 2
    assert volume.classes.max() == 1


def test_the_picture_layout(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part / "p1").mkdir(parents=True)
    for n in (4, 5):
        (tmp_path / "images" / "p1" / f"{n:03d}.png").write_bytes(picture(seed=n))
        (tmp_path / "masks" / "p1" / f"{n:03d}.png").write_bytes(picture(bits=8))
    volume = read("png", tmp_path, masks=True).cases[0].read()
    assert volume.channels[0].pixels.shape == volume.classes.shape == (2, 32, 32)
    assert volume.first_index == 4


def test_a_folder_without_anything(tmp_path):
    for layout in ("nifti", "brats", "png", "dicom"):
        with pytest.raises(VolumeInvalid, match="there are no"):
            read(layout, tmp_path)


def test_a_layout_that_nobody_brings():
    with pytest.raises(UnknownName, match=r"brats, .*dicom, msd, nifti, .*png"):
        find_layout("mha")


def test_a_dicom_series_in_order_along_its_normal(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    series = generate_uid()
    for n, height in enumerate((30.0, 10.0, 20.0)):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.SeriesInstanceUID = series
        image.PatientName = "Somebody^Real"
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [0, 0, height]
        image.Rows, image.Columns, image.SamplesPerPixel = 4, 5, 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.PixelRepresentation = 0
        image.PixelData = np.full((4, 5), int(height), dtype=np.uint16).tobytes()
        (tmp_path / "knee").mkdir(exist_ok=True)
        pydicom.dcmwrite(tmp_path / "knee" / f"{n}.dcm", image, enforce_file_format=True)
    data_set = read("dicom", tmp_path)
    volume = data_set.cases[0].read()
    assert volume.channels[0].pixels[:, 0, 0].tolist() == [10, 20, 30]
    assert "Somebody" not in json.dumps(volume.source)


def test_the_phantom_is_as_hard_as_it_says():
    cases = [phantom_case(20, 64, np.random.default_rng([0, n])) for n in range(40)]
    masks = np.stack([mask for _, mask in cases])
    assert 0.01 <= masks.mean() <= 0.03
    assert (masks.sum(axis=(2, 3)) == 0).mean() >= 0.4
    assert max(image.max() for image, _ in cases) <= 4095
    again, _ = phantom_case(20, 64, np.random.default_rng([0, 3]))
    np.testing.assert_array_equal(again, cases[3][0])


@pytest.mark.skipif(
    not (SHARED_DATA / "msd-hippocampus").is_dir(), reason="the real data set is not here"
)
def test_a_real_decathlon_task_is_read_whole():
    data_set = read("msd", SHARED_DATA / "msd-hippocampus", masks=True)
    assert data_set.classes == ["background", "Anterior", "Posterior"]
    volume = data_set.cases[0].read()
    assert volume.channels[0].pixels.shape == volume.classes.shape
    assert set(np.unique(volume.classes)) == {0, 1, 2}
