"""A NIfTI file a case: images/, labels/, and sfumato.json with classes and splits."""

from collections.abc import Sequence

import nibabel as nib

from app.formats.descriptions import OwnDescription, remarks_on, slices_of
from app.formats.writer import UNLABELLED, About, ExportedCase, OpenFormat, Target, Writer
from app.formats.writing import image_nifti, label_nifti


class NiftiFiles:
    """Images with their channels along the fourth dimension, and label maps."""

    words = "NIfTI: images/CASE.nii.gz, labels/CASE.nii.gz, sfumato.json"
    images = True

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set."""
        return _Files(target, about)


class _Files:
    def __init__(self, target: Target, about: About) -> None:
        self._target, self._channels = target, range(len(about.channels))
        self._description = OwnDescription(about, "nifti")

    def add(self, case: ExportedCase) -> Sequence[str]:
        file = f"{case.name}.nii.gz"
        nib.save(image_nifti(case, self._channels), self._target.path("images", file))
        nib.save(label_nifti(case, case.labels, UNLABELLED), self._target.path("labels", file))
        for one in case.readings[1:]:
            path = self._target.path("readings", str(one.reader), file)
            nib.save(label_nifti(case, one, UNLABELLED), path)
        self._description.add(case, slices_of(case))
        return remarks_on(case, f"the image holds its lowest value and the labels {UNLABELLED}")

    def close(self) -> Sequence[str]:
        self._description.write(self._target.path("sfumato.json"))
        return ()


WRITER: Writer = NiftiFiles()
