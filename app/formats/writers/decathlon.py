"""The layout of the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/."""

import json
from collections.abc import Sequence
from typing import Any

import nibabel as nib

from app.formats.descriptions import remarks_on, slices_of
from app.formats.writer import UNLABELLED, About, ExportedCase, OpenFormat, Target, Writer
from app.formats.writing import image_nifti, label_nifti


class Decathlon:
    """Images with their channels along the fourth dimension, and label maps."""

    words = "Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/"
    images = True

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a task."""
        return _Task(target, about)


class _Task:
    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        self._pairs: list[dict[str, Any]] = []

    def add(self, case: ExportedCase) -> Sequence[str]:
        file = f"{case.name}.nii.gz"
        image = image_nifti(case, range(len(case.channels)))
        nib.save(image, self._target.path("imagesTr", file))
        nib.save(label_nifti(case, case.labels, UNLABELLED), self._target.path("labelsTr", file))
        for one in case.readings[1:]:
            path = self._target.path("readings", str(one.reader), file)
            nib.save(label_nifti(case, one, UNLABELLED), path)
        pair = {"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"}
        self._pairs.append(pair | {"split": case.split.value} | slices_of(case))
        return remarks_on(case, f"the image holds its lowest value and the labels {UNLABELLED}")

    def close(self) -> Sequence[str]:
        about = self._about
        description: dict[str, Any] = {
            "name": about.project,
            "labels": {str(i): name for i, name in enumerate(about.classes)},
            "modality": {str(i): name for i, name in enumerate(about.channels)},
            "unlabelled": UNLABELLED,
            "numTraining": len(self._pairs),
            "training": self._pairs,
            "test": [],
        }
        if about.model is not None:
            description["model"] = about.model
        path = self._target.path("dataset.json")
        text = json.dumps(description, indent=1, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return ()


WRITER: Writer = Decathlon()
