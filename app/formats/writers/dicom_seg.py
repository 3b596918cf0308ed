"""DICOM segmentations of the type BINARY (a bit a pixel and class) on the original images."""

from app.formats.segmentations import Segmentations
from app.formats.writer import About, OpenFormat, Target, Writer


class DicomSeg:
    """segmentations/CASE.dcm for what came from DICOM; nothing of a patient by default."""

    words = "DICOM Segmentation, BINARY: segmentations/CASE.dcm, without images"
    images = False

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set."""
        return Segmentations(target, about, "BINARY")


WRITER: Writer = DicomSeg()
