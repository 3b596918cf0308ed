"""What is read of a header, and what of it is kept. Nothing else of a file is ever looked at.

``READ`` names the elements that pydicom is asked for: a patient's name, dates, places, comments
and private elements are skipped on disk. ``TECHNICAL`` is what a case's ``source`` keeps of the
acquisition: numbers alone, because text that a device or a person wrote may say anything.
"""

from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from app.formats.dicom.elements import Unclear, numbers, text

# Kept as numbers. Left out on purpose: manufacturer, model, station, protocol, kernel, sequence
# and coil names (free text of a device), all dates and times, doses (an exposure's identity).
TECHNICAL = (
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "GantryDetectorTilt",
    "KVP",
    "XRayTubeCurrent",
    "ExposureTime",
    "ReconstructionDiameter",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "EchoTrainLength",
    "NumberOfAverages",
    "PixelBandwidth",
    "DiffusionBValue",
    "FrameTime",
)

# Coded, and kept only where the code is one of these.
MODALITIES = frozenset(
    {"AR", "BMD", "CR", "CT", "DX", "ES", "GM", "IO", "IVOCT", "IVUS", "MG", "MR", "NM", "OCT"}
    | {"OP", "OPT", "OT", "PT", "PX", "RF", "RG", "RTIMAGE", "SC", "SM", "TG", "US", "XA", "XC"}
)

_UIDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)
_ORDER = (
    "SeriesNumber",
    "InstanceNumber",
    "AcquisitionNumber",
    "ImageType",
    "EchoNumbers",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "DiffusionGradientOrientation",
    "StackID",
)
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")
_PIXELS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "AlphaPaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "AlphaPaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SegmentedAlphaPaletteColorLookupTableData",
)
# By what frames without descriptions of their own are told apart.
VECTORS = (
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "RotationVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "SliceVector",
    "AngularViewVector",
    "TimeSliceVector",
)
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# Of objects that mark images: what they refer to, and what their segments are called.
_MARKS = (
    "SegmentSequence",
    "ReferencedSeriesSequence",
    "StructureSetROISequence",
    "ROIContourSequence",
    "RTROIObservationsSequence",
    "ReferencedFrameOfReferenceSequence",
    "ManufacturerModelName",
)
PIXELS = (
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


def tags(*keywords: str) -> list[int]:
    """The tags of keywords."""
    return [tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None]


READ = tags("Modality", *_UIDS, *_ORDER, *_PLACE, *_PIXELS, *_FRAMES, *VECTORS, *TECHNICAL)
MARKS = READ + tags(*_MARKS)


def technical_values(datasets: list[Dataset]) -> dict[str, Any]:
    """The technical values of an acquisition, from a header and its functional groups.

    A number, or a list where an element holds several. What makes no sense is left out.
    """
    found: dict[str, Any] = {}
    for keyword in TECHNICAL:
        for dataset in datasets:
            try:
                value = numbers(dataset, keyword)
            except Unclear:
                continue
            if value is not None and len(value) <= 4:
                found[keyword] = float(value[0]) if len(value) == 1 else value.tolist()
                break
    return found


def modality_of(dataset: Dataset) -> str | None:
    """The modality, if it is one that the standard knows."""
    try:
        found = text(dataset, "Modality")
    except Unclear:
        return None
    return found if found in MODALITIES else None
