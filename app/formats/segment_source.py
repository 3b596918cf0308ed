"""What a DICOM segmentation says of the images it was drawn on, from what is kept of their series.

Nothing of a patient is kept: their module is empty, or comes from a folder that holds the series.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import DA, DS, TM

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.files import files_in
from app.formats.writer import ExportedCase

# Between DICOM's patient coordinates (left, back, head) and ours, either way.
_TURNED = np.diag([-1.0, -1.0, 1.0])
# What names patients and the study: all of it is wanted of the original, nothing of it is kept.
_NAMING = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_MORE = ("IssuerOfPatientID",)
_STUDY = ("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName")


@dataclass(frozen=True)
class Original:
    """One image or frame that a slice shows: ``frame`` from 1, None for an image of one."""

    sop_class: str
    instance: str
    frame: int | None


@dataclass(frozen=True)
class References:
    """The series that a case came from. ``originals``: by the index of the slice in the case."""

    study: str
    series: str
    frame_of_reference: str | None
    modality: str
    originals: dict[int, Original]


def references_of(case: ExportedCase) -> References:
    """What is kept of a case's series. Raises ``VolumeInvalid`` where that is not enough."""
    source = case.source
    if source.get("kind") != "dicom":
        raise VolumeInvalid(
            "it did not come from DICOM, so there are no images that a segmentation could refer "
            "to: export it as nifti or nnunet"
        )
    if not source.get("instances") or case.geometry is None:
        raise VolumeInvalid(
            "its images or their place in space are not known: import the series again with this "
            "version, or export it as nifti"
        )
    try:
        originals = {
            int(index): Original(
                str(source["sop_class"] or ""),
                str(instance or ""),
                None if frame is None else int(frame),
            )
            for index, instance, frame in source["instances"]
        }
        found = References(
            str(source["study"] or ""),
            str(source["series"] or ""),
            source.get("frame_of_reference"),
            str(source.get("modality") or "OT"),
            originals,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VolumeInvalid(
            f"what is kept of its series cannot be understood ({error!r}): import it again"
        ) from error
    needed = [found.study, found.series, *(o.sop_class for o in originals.values())]
    if not all(needed) or not all(o.instance for o in originals.values()):
        raise VolumeInvalid(
            "its series came without a study, a series or names of its images (UIDs), so nothing "
            "can refer to it: export it as nifti or nnunet"
        )
    lost = [index for index in case.indices if index not in found.originals]
    if lost:
        raise VolumeInvalid(
            f"no image of the series is known for its slices {lost[:5]}: import it again, or "
            "export it as nifti"
        )
    return found


class People:
    """Who series are of: nobody by default, or what the headers in a folder say."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: holds the original series, or None. Raises ``InvalidInput``."""
        if folder is not None and not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder: name the one with the original series")
        self._folder = folder
        self._known = None if folder is None else _named_in(folder)

    def of(self, series: str) -> Dataset:
        """The patient and study of a series. Raises ``VolumeInvalid`` where it is not there."""
        if self._known is None:
            return _anonymous()
        if series not in self._known:
            raise VolumeInvalid(f"no image in {self._folder} is of its series {series}")
        return self._known[series]


def source_images(
    case: ExportedCase, known: References, geometry: Geometry, slices: Sequence[int]
) -> list[Dataset]:
    """A header for each of some slices, as if each was an image of its own: what highdicom copies.

    Patient and study are not in it.
    """
    along, down, step = (_TURNED @ geometry.affine[:3, n] for n in range(3))
    normal = np.cross(along, down)
    apart = abs(float(step @ normal / np.linalg.norm(normal)))
    spacing = geometry.spacing
    shared = Dataset()
    shared.StudyInstanceUID, shared.SeriesInstanceUID = known.study, known.series
    # A series without one gets one that all its slices share: they do lie in one space.
    shared.FrameOfReferenceUID = known.frame_of_reference or generate_uid(
        entropy_srcs=[known.series, "frame of reference"]
    )
    shared.Modality = known.modality
    shared.Rows, shared.Columns = case.size
    shared.ImageOrientationPatient = _numbers([*along / spacing.column, *down / spacing.row])
    shared.PixelSpacing = _numbers([spacing.row, spacing.column])
    shared.SliceThickness = shared.SpacingBetweenSlices = _numbers([apart])[0]
    images = []
    for slice_ in slices:
        image = Dataset()
        image.update(shared)
        # Of one frame, whatever the original is: references are put right afterwards.
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
        place = _TURNED @ geometry.position(0, 0, case.indices[slice_])
        image.ImagePositionPatient = _numbers(place)
        images.append(image)
    return images


def _numbers(values: Iterable[Any]) -> list[Any]:
    return [DS(float(value), auto_format=True) for value in values]


def _anonymous() -> Dataset:
    person = Dataset()
    for name in (*_NAMING, *_STUDY):
        setattr(person, name, "")
    person.PatientIdentityRemoved = "YES"
    person.DeidentificationMethod = "Nothing of a patient was kept at import"
    return person


def _named_in(folder: Path) -> dict[str, Dataset]:
    """Patients and studies of a folder's series, by their UIDs."""
    tags: list[Any] = [*_NAMING, *_MORE, *_STUDY, "SeriesInstanceUID", "SpecificCharacterSet"]
    found: dict[str, Dataset] = {}
    for path in files_in(folder):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
            series = str(header.get("SeriesInstanceUID") or "")
            if not series or series in found:
                continue
            person = Dataset()
            for name in (*_NAMING, *_STUDY):
                setattr(person, name, _valid(header, name))
            for name in _MORE:
                if value := _valid(header, name):
                    setattr(person, name, value)
        except Exception:  # noqa: S112  # a file that is no image names no patient
            continue
        found[series] = person
    return found


def _valid(header: Dataset, name: str) -> str:
    """An element as text, as names in another character set are written in ours; "" if odd."""
    try:
        text = str(header.get(name) or "")
        element = Dataset()
        setattr(element, name, text)
        if text and element[name].VR in ("DA", "TM"):
            (DA if element[name].VR == "DA" else TM)(text)
    except Exception:  # whatever it holds
        return ""
    return text
