"""Small DICOM series made in code, as bytes of files by their instances' UIDs."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def ct_series(study: str, series: str, depth: int = 4, date: str = "20200510") -> dict[str, bytes]:
    """Axial slices of one patient, 3 mm apart, of (8, 6) pixels; slice n begins with 100 n."""
    files = {}
    for n in range(depth):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        uid = f"{series}.{n + 1}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = f"{study}.9"
        image.PatientName, image.PatientID, image.PatientBirthDate = "Mustermann^Max", "4711", ""
        image.StudyID, image.StudyDate, image.StudyTime = "", date, "101112"
        image.AccessionNumber = image.ReferringPhysicianName = image.PatientSex = ""
        image.Modality, image.InstanceNumber, image.SeriesNumber = "CT", n + 1, 1
        image.ImageOrientationPatient, image.ImagePositionPatient = (
            [1, 0, 0, 0, 1, 0],
            [0, 0, 3 * n],
        )
        image.PixelSpacing, image.SliceThickness = [0.5, 0.5], 3
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
        image.Rows, image.Columns = 8, 6
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = 0
        image.PixelData = np.arange(100 * n, 100 * n + 48, dtype=np.uint16).tobytes()
        held = io.BytesIO()
        pydicom.dcmwrite(held, image, enforce_file_format=True)
        files[uid] = held.getvalue()
    return files


def new_uid() -> str:
    """A UID that leaves room for what is appended to it."""
    return generate_uid(prefix="1.2.826.0.1.3680043.8.498.")[:50].rstrip(".")
