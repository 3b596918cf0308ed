"""A CT for the pages, made in code."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

# 64 × 48 mm: 64 columns 1 mm apart, 96 rows 0.5 mm apart.
ROWS, COLUMNS = 96, 64


def ct_slice(series: str, index: int, photometric: str = "MONOCHROME2") -> bytes:
    """−100 HU, with a rectangle of 1000 HU from column 20 to 40 and from row 24 to 44."""
    values = np.full((ROWS, COLUMNS), 924, dtype=np.uint16)
    values[24:44, 20:40] = 2024
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.SeriesInstanceUID = series
    image.Modality = "CT"
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [0, 0, 3 * index]
    image.PixelSpacing = [0.5, 1.0]
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
    image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
    image.PhotometricInterpretation = photometric
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.PixelData = values.tobytes()
    written = io.BytesIO()
    pydicom.dcmwrite(written, image, enforce_file_format=True)
    return written.getvalue()
