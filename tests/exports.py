"""Projects to be exported: volumes with masks in a database, and DICOM series made in code."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from app.core.pixels import encode
from app.core.prepared import prepare_image, prepare_mask
from app.core.project_settings import ProjectSettings
from app.core.splits import Split
from app.formats.case import CaseVolume
from app.formats.layout import ReadOptions, find_layout
from app.loop import slices
from app.loop.access import HERE
from app.loop.masks import add_imported_masks
from app.loop.projects import create_project, find_project
from app.loop.slices import add_slice, ensure_case
from app.store import Database, Role

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
PRONE = [-1, 0, 0, 0, -1, 0]


def make_project(database: Database, classes=("background", "lesion"), channels=("image",)):
    settings = ProjectSettings(classes=list(classes), channels=list(channels))
    with database.writing() as session:
        return create_project(session, "brain", settings)


def keep(
    database: Database, name: str, volume: CaseVolume, labels=None, unlabelled=(), split=Split.POOL
) -> None:
    """Put a volume into the project, with labels (D, H, W) of all slices but the unlabelled."""
    # Earlier versions took slices of several sizes into one case.
    lenient = pytest.MonkeyPatch.context()
    with lenient as patched, database.writing() as session:
        patched.setattr(slices, "_check_stack", lambda *arguments: None)
        project = find_project(session, HERE, "brain", Role.ADMIN)
        case = ensure_case(session, project, name, split, volume.geometry, volume.source)
        for n in range(volume.depth):
            images = {
                number: prepare_image(channel.pixels[n], channel.rescale_of(n))
                for number, channel in enumerate(volume.channels)
            }
            channels = len(project.channels)
            added = add_slice(session, case, volume.index_of(n), images, channels)
            if labels is not None and n not in unlabelled:
                add_imported_masks(session, {added.slice.id: prepare_mask(labels[n])})


def labels_of(volume: CaseVolume, classes: int = 2, seed: int = 0) -> np.ndarray:
    """Random classes for each pixel of a volume, (D, H, W)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, volume.channels[0].pixels.shape).astype(np.uint8)


def dicom_series(folder, orientation=AXIAL, step=None, depth=4, shape=(6, 5), **elements):
    """Write a CT series and read it as the product does, with references to its images."""
    folder.mkdir(parents=True)
    normal = np.cross(orientation[:3], orientation[3:])
    step = 2.5 * normal if step is None else np.asarray(step)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    images = []
    for n in range(depth):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.PatientName, image.PatientID = "Somebody^Real", "QX-9"
        image.PatientBirthDate, image.PatientSex = "19500101", "F"
        image.StudyDate, image.AccessionNumber = "20200202", "ACC1"
        image.Modality, image.InstanceNumber = "CT", n + 1
        image.ImageOrientationPatient = list(orientation)
        start = np.array([-11.5, 7.25, -40.0])
        image.ImagePositionPatient = [f"{v:.10f}"[:16] for v in start + n * step]
        image.PixelSpacing = [0.75, 0.5]
        image.Rows, image.Columns = shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = 1
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        pixels = np.arange(n * 100, n * 100 + shape[0] * shape[1]).reshape(shape)
        image.PixelData = pixels.astype(np.int16).tobytes()
        for name, value in elements.items():
            setattr(image, name, value)
        pydicom.dcmwrite(folder / f"IM{n}.dcm", image, enforce_file_format=True)
        images.append(image)
    volume = find_layout("dicom").read(folder.parent, ReadOptions()).cases[0].read()
    return with_references(volume, images), images


def with_references(volume: CaseVolume, images) -> CaseVolume:
    """A volume whose source names its images, as the reader of DICOM leaves them."""
    normal = np.cross(*np.array(images[0].ImageOrientationPatient, dtype=float).reshape(2, 3))
    ordered = sorted(images, key=lambda i: np.dot(normal, np.array(i.ImagePositionPatient, float)))
    first = images[0]
    source = {
        "kind": "dicom",
        "modality": first.Modality,
        "sop_class": first.SOPClassUID,
        "study": first.StudyInstanceUID,
        "series": first.SeriesInstanceUID,
        "frame_of_reference": first.get("FrameOfReferenceUID"),
        "instances": [[n, image.SOPInstanceUID, None] for n, image in enumerate(ordered)],
    }
    return replace(volume, source=source)


def white(shape=(4, 5), value=7) -> bytes:
    """A small grey PNG."""
    return encode(np.full(shape, value, dtype=np.uint8))
