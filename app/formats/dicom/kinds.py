"""Which DICOM objects are images that one can annotate, by their SOP class."""

from app.formats.dicom.elements import uid_name

_DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATIONS = frozenset(
    {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}  # binary, label map
)
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"

# Images although their names do not say so.
_IMAGES = frozenset({"Parametric Map Storage", "Enhanced US Volume Storage"})
_TILED = frozenset({"VL Whole Slide Microscopy Image Storage"})
# What no image is, where an anonymiser took the class away.
_MODALITIES = {
    "SEG": "a segmentation",
    "RTDOSE": "a dose",
    "RTSTRUCT": "a structure set",
    "RTPLAN": "a plan",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "SR": "a report",
    "DOC": "a document",
    "REG": "a registration",
    "ECG": "a waveform",
}


def is_directory(sop_class: str | None) -> bool:
    """Whether it is a DICOMDIR, which lists files and holds none."""
    return sop_class == _DIRECTORY


def why_no_image(sop_class: str | None, modality: str) -> str | None:
    """Why such an object is no image to annotate, None where it may be one.

    A class that the standard does not know, a vendor's own, is judged by its pixels.
    """
    name = uid_name(sop_class)
    if name in _TILED:
        return f"{name} holds tiles of a slide, which are no slices: export the region as pictures"
    if name and "Image Storage" not in name and name not in _IMAGES:
        return f"{name} is no image"
    if modality in _MODALITIES:
        return f"it is {_MODALITIES[modality]} by its modality, no image"
    return None
