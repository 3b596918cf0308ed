"""Masks as DICOM segmentations (highdicom), on the images that they were drawn on.

Only slices that somebody has drawn have frames, empty ones too: what has none was not looked at.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom.dataset import Dataset

from app.core.errors import VolumeInvalid
from app.core.geometry import Geometry
from app.formats.dicom.marks import WRITER
from app.formats.segment_source import Original, People, References, references_of, source_images
from app.formats.writer import About, ExportedCase, Reading, Target

# What a class of a project is called where no vocabulary has its name.
_SCHEME = "99SFUMATO"
_UTF8 = "ISO_IR 192"


class Segmentations:
    """Of one data set: segmentations/CASE.dcm, those of readers in readings/NAME/CASE.dcm."""

    def __init__(self, target: Target, about: About, type_: Literal["BINARY", "LABELMAP"]) -> None:
        """``type_``: a bit a pixel for each class, or class indices."""
        self._target, self._about, self._type = target, about, type_
        self._people = People(about.source)

    def add(self, case: ExportedCase) -> Sequence[str]:
        """Write a case's segmentations. Raises ``VolumeInvalid`` for what is not of DICOM."""
        known = references_of(case)
        geometry = case.geometry
        if geometry is None:
            raise VolumeInvalid("its place in space is not known")
        person = self._people.of(known.series)
        for reading in case.readings:
            if reading.labelled:
                folder: tuple[str, ...] = ("segmentations",)
                if reading.reader is not None:
                    folder = ("readings", reading.reader)
                path = self._target.path(*folder, f"{case.name}.dcm")
                self._write(path, case, reading, known, geometry, person)
        return ()

    def close(self) -> Sequence[str]:
        """Each segmentation describes itself."""
        return ()

    def _write(
        self,
        path: Path,
        case: ExportedCase,
        reading: Reading,
        known: References,
        geometry: Geometry,
        person: Dataset,
    ) -> None:
        # Loaded here: it takes a second that nothing else needs.
        import highdicom
        from pydicom.uid import ExplicitVRLittleEndian, RLELossless

        images = source_images(case, known, geometry, reading.labelled)
        for image in images:
            image.update(person)
        masks = np.stack([reading.classes(n) for n in reading.labelled])
        if masks.max() >= len(self._about.classes):
            raise VolumeInvalid(
                f"its masks hold the class {masks.max()}, which the project does not have"
            )
        author = reading.reader or "Sfumato"
        segmentation = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=masks,
            segmentation_type=self._type,
            segment_descriptions=_segments(self._about.classes, reading),
            series_instance_uid=highdicom.UID(),
            series_number=1,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="Sfumato",
            manufacturer_model_name=WRITER,
            software_versions=version("sfumato"),
            device_serial_number="0",
            content_label="SEGMENTATION",
            content_description=_short(f"{self._about.project}: {reading.reader or 'labels'}", 64),
            # A single component: an account's name is no person's family name.
            content_creator_name=_short(author, 64).replace("^", " ") + "^",
            series_description=_short(f"Sfumato {self._about.project}: {author}", 64),
            # What was seen to be empty is told from what nobody has looked at.
            omit_empty_frames=False,
            transfer_syntax_uid=ExplicitVRLittleEndian if self._type == "BINARY" else RLELossless,
            specific_character_set=_UTF8,
        )
        originals = [known.originals[case.indices[n]] for n in reading.labelled]
        _refer(segmentation, dict(zip((i.SOPInstanceUID for i in images), originals, strict=True)))
        segmentation.save_as(path)


def _segments(classes: Sequence[str], reading: Reading) -> list[Any]:
    """A description of each foreground class."""
    import highdicom
    from pydicom.sr.codedict import codes

    algorithm = _algorithm(reading)
    return [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=_short(name, 64),
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=highdicom.sr.CodedConcept(
                value=f"CLASS{number}", meaning=_short(name, 64), scheme_designator=_SCHEME
            ),
            algorithm_type="SEMIAUTOMATIC" if algorithm else "MANUAL",
            algorithm_identification=algorithm,
            tracking_uid=highdicom.UID(),
            tracking_id=_short(name, 64),
        )
        for number, name in enumerate(classes[1:], 1)
    ]


def _algorithm(reading: Reading) -> Any:
    """What helped to make some of the masks: suggestions or a consensus; None for hands alone."""
    import highdicom
    from pydicom.sr.codedict import codes

    if reading.models:
        numbers = ", ".join(str(number) for number in reading.models)
        return highdicom.AlgorithmIdentificationSequence(
            name="Sfumato: models' suggestions, seen by annotators",
            family=codes.DCM.ArtificialIntelligence,
            version=_short(numbers, 64),
        )
    if reading.computed:
        return highdicom.AlgorithmIdentificationSequence(
            name="Sfumato: consensus of readers drawn by hand",
            family=codes.DCM.ManualProcessing,
            version=version("sfumato"),
        )
    return None


def _short(text: str, longest: int) -> str:
    """Text that an element of one value in one line holds: backslashes would divide it."""
    return " ".join(text.replace("\\", "/").split())[:longest]


def _refer(segmentation: Dataset, originals: dict[str, Original]) -> None:
    """Put the originals' names where those of our headers stand, with their frames."""
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        for derived in frame.get("DerivationImageSequence", ()):
            for item in derived.SourceImageSequence:
                original = originals.get(item.ReferencedSOPInstanceUID)
                if original is None:
                    continue  # frames of several segments share the item, which is right by now
                item.ReferencedSOPClassUID = original.sop_class
                item.ReferencedSOPInstanceUID = original.instance
                if original.frame is not None:
                    item.ReferencedFrameNumber = original.frame
    items = list(_whole(originals.values()))
    segmentation.SourceImageSequence = items
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = items


def _whole(originals: Any) -> Iterator[Dataset]:
    """A reference to each image once, whatever number of its frames are meant."""
    for sop_class, instance in dict.fromkeys((o.sop_class, o.instance) for o in originals):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        yield item
