"""What a frame says of itself: in the header of a classic image, in groups of an enhanced one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from app.core.rescale import Rescale
from app.formats.dicom.elements import (
    Unclear,
    items,
    millimetres,
    number,
    optional,
    text,
    value_of,
)
from app.formats.dicom.frame import Place
from app.formats.dicom.quiet import attempt

# How far a direction may be from length 1, and two of one image from a right angle.
_SKEWED = 0.01


@dataclass(frozen=True)
class Groups:
    """A frame's functional groups: its own before those shared by all, then the file's."""

    dataset: Dataset
    shared: Dataset
    own: Dataset | None

    @classmethod
    def of_frame(cls, dataset: Dataset, index: int) -> "Groups":
        """Of the frame of that number, from 0."""
        shared = items(dataset, "SharedFunctionalGroupsSequence")
        own = items(dataset, "PerFrameFunctionalGroupsSequence")
        return cls(dataset, shared[0] if shared else Dataset(), own[index] if own else None)

    def of(self, macro: str) -> Dataset:
        """The item of a macro; of a classic image the header itself."""
        for groups in (self.own, self.shared):
            if groups is not None and (found := items(groups, macro)):
                return found[0]
        # Values may be said for the whole file although its frames are described.
        whole_file = self.own is None or macro == "PixelValueTransformationSequence"
        return self.dataset if whole_file else Dataset()

    @staticmethod
    def everywhere(dataset: Dataset) -> list[Dataset]:
        """A header, then each group that its frames share, then each of its first frame."""
        found = [dataset]
        for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            for groups in (attempt(lambda k=keyword: items(dataset, k)) or [])[:1]:  # type: ignore[misc]
                sequences = (attempt(lambda e=e: e.value) for e in groups if e.VR == "SQ")  # type: ignore[misc]
                found += [one[0] for one in sequences if one]
        return found


def place_of(groups: Groups) -> Place | None:
    """Where a frame lies; None where it does not say. Raises ``Unclear``."""
    position = millimetres(groups.of("PlanePositionSequence"), "ImagePositionPatient", 3)
    turned = groups.of("PlaneOrientationSequence")
    orientation = millimetres(turned, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        return None
    along, down = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > _SKEWED or abs(along @ down) > _SKEWED:
        raise Unclear("ImageOrientationPatient is not two directions at a right angle")
    measures = groups.of("PixelMeasuresSequence")
    spacing = millimetres(measures, "PixelSpacing", 2)
    if spacing is not None and spacing.min() <= 0:
        raise Unclear("PixelSpacing is not above 0, it would place it nowhere")
    thickness = optional(measures, "SpacingBetweenSlices") or optional(measures, "SliceThickness")
    return Place(position, orientation, spacing, abs(thickness) if thickness else None)


def rescale_of(groups: Groups) -> Rescale:
    """The way to a frame's values; what is empty counts as absent. Raises ``Unclear``."""
    values = groups.of("PixelValueTransformationSequence")
    slope, intercept = number(values, "RescaleSlope"), number(values, "RescaleIntercept")
    if slope == 0:
        raise Unclear("RescaleSlope is 0, so its pixels give no values")
    # A CT that says another type, such as US, is not in Hounsfield units.
    default = "HU" if text(groups.dataset, "Modality") == "CT" else ""
    unit = "HU" if (text(values, "RescaleType") or default) == "HU" else None
    return Rescale(0, 1.0 if slope is None else slope, intercept or 0.0, unit)


def _image_type(groups: Groups) -> str:
    for macro in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence"):
        if groups.own is not None and (found := text(groups.of(macro), "FrameType")):
            return found
    return text(groups.dataset, "ImageType")


def keys_of(groups: Groups) -> tuple[object, ...]:
    """By ``KEYS``; of an enhanced image its dimensions follow, whatever they are."""
    header, content = groups.dataset, groups.of("FrameContentSequence")
    classic = groups.own is None
    diffusion = header if classic else groups.of("MRDiffusionSequence")
    gradient = diffusion
    if not classic:
        gradient = (items(diffusion, "DiffusionGradientDirectionSequence") or [Dataset()])[0]
    cardiac = groups.of("CardiacSynchronizationSequence")
    modifier = groups.of("MRModifierSequence")
    timing = groups.of("MRTimingAndRelatedParametersSequence")
    found: list[object] = [
        _tuple(header, "EchoNumbers", "EchoTime")
        if classic
        else _tuple(groups.of("MREchoSequence"), "EffectiveEchoTime"),
        _tuple(header, "TemporalPositionIdentifier")
        if classic
        else _tuple(content, "TemporalPositionIndex"),
        _tuple(header, "AcquisitionNumber")
        if classic
        else _tuple(content, "FrameAcquisitionNumber"),
        _image_type(groups),
        _tuple(diffusion, "DiffusionBValue"),
        _tuple(gradient, "DiffusionGradientOrientation"),
        _tuple(cardiac, "NominalCardiacTriggerDelayTime", "TriggerTime"),
        _tuple(header if classic else modifier, "InversionTime", "InversionTimes"),
        _tuple(header if classic else timing, "FlipAngle"),
        text(content, "StackID"),
    ]
    return (*found, *_tuple(content, "DimensionIndexValues"))


def _tuple(dataset: Dataset, *keywords: str) -> tuple[float, ...]:
    found: list[float] = []
    for keyword in keywords:
        value = attempt(lambda keyword=keyword: value_of(dataset, keyword))  # type: ignore[misc]
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        found += [n for one in several if (n := attempt(lambda one=one: float(one))) is not None]  # type: ignore[misc]
    return tuple(found)
