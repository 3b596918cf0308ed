"""DICOM files for tests, made in code: series with any header, and a way to read them."""

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from app.formats.layout import ReadOptions, find_layout

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
PRONE = [-1, 0, 0, 0, -1, 0]
OBLIQUE = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()[:, :2].T.ravel()
RNG = np.random.default_rng(0)


def series(
    folder,
    pixels,
    orientation=AXIAL,
    step=None,
    start=(-11.5, 7.25, -40.0),
    names=None,
    uid=None,
    **elements,
):
    """Write (D, H, W) or (D, H, W, 3) pixels as files, by random names unless they are given.

    An element that is a list of D values differs from image to image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    step = 2.5 * normal if step is None else np.asarray(step)
    uid = uid or generate_uid()
    for n in RNG.permutation(len(pixels)):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = uid
        image.PatientName, image.PatientID = "Somebody^Real", "4711"
        image.Modality, image.InstanceNumber = "CT", 1
        image.ImageOrientationPatient = [f"{v:.12g}" for v in orientation]
        image.ImagePositionPatient = [f"{v:.10f}"[:16] for v in np.asarray(start) + n * step]
        image.PixelSpacing = [0.75, 0.5]
        plane = np.ascontiguousarray(pixels[n])
        image.Rows, image.Columns = plane.shape[:2]
        image.SamplesPerPixel = 3 if plane.ndim == 3 else 1
        image.PhotometricInterpretation = "RGB" if plane.ndim == 3 else "MONOCHROME2"
        if plane.ndim == 3:
            image.PlanarConfiguration = 0
        bits = 8 * plane.dtype.itemsize
        image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
        image.PixelRepresentation = int(plane.dtype.kind == "i")
        image.PixelData = plane.tobytes()
        for name, value in elements.items():
            own = isinstance(value, list) and len(value) == len(pixels)
            setattr(image, name, value[n] if own else value)
            if value is None:
                delattr(image, name)
        name = f"{RNG.integers(10**9)}.dcm" if names is None else names[n]
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.file_meta.MediaStorageSOPClassUID = image.get("SOPClassUID", "1.2.3")
        pydicom.dcmwrite(folder / name, image, enforce_file_format=True)
    return folder


def data_set(folder, *channels, masks=False):
    """The cases of a folder, not read yet."""
    return find_layout("dicom").read(folder, ReadOptions(masks, channels))


def read(folder, *channels, masks=False):
    """The one case of a folder."""
    (case,) = data_set(folder, *channels, masks=masks).cases
    return case.read()


def values(case):
    """The file's values of the first channel (D, H, W)."""
    channel = case.channels[0]
    return np.stack([channel.rescale_of(n).values(p) for n, p in enumerate(channel.pixels)])


def numbered(depth=4, height=6, width=5, dtype=np.uint16):
    return np.arange(depth * height * width, dtype=dtype).reshape(depth, height, width)


def images_of(folder):
    """The headers of a series in order, with what highdicom asks of them."""
    found = [pydicom.dcmread(path) for path in folder.iterdir()]
    patient = {"PatientBirthDate": "", "PatientSex": "", "AccessionNumber": "", "StudyID": ""}
    for image in found:
        for name, value in patient.items():
            setattr(image, name, value)
        image.SliceThickness = 2.5
        image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
    return sorted(
        found,
        key=lambda i: (
            np.cross(*np.reshape(i.ImageOrientationPatient, (2, 3))) @ i.ImagePositionPatient
        ),
    )
