"""nnU-Net v2 raw: DatasetXXX_Name/ with dataset.json, imagesTr/, labelsTr/, imagesTs/, labelsTs/.

Its labels go from 0, "background", up without a gap; the one after the last class is "ignore",
which holds what nobody has drawn.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import nibabel as nib

from app.core.splits import Split
from app.formats.descriptions import remarks_on, slices_of
from app.formats.writer import About, ExportedCase, OpenFormat, Reading, Target, Writer
from app.formats.writing import image_nifti, label_nifti


class NnUNet:
    """A file a channel and case; what nobody has drawn holds the ignore label."""

    words = "nnU-Net v2 raw: DatasetXXX_Name/ with dataset.json, imagesTr/, labelsTr/"
    images = True

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set."""
        return _Raw(target, about)


class _Raw:
    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        name = re.sub(r"[^A-Za-z0-9.+-]+", "-", about.project).strip("-")
        self._folder = f"Dataset{about.number:03d}_{name or 'project'}"
        self._ignore = len(about.classes)
        self._ignored = self._sheared = False
        self._splits: dict[Split, list[str]] = {split: [] for split in Split}
        self._cases: dict[str, Any] = {}

    def add(self, case: ExportedCase) -> Sequence[str]:
        part = "Ts" if case.split is Split.TEST else "Tr"
        for n in range(len(case.channels)):
            file = f"{case.name}_{n:04d}.nii.gz"
            path = self._target.path(self._folder, f"images{part}", file)
            nib.save(image_nifti(case, [n]), path)
        file = f"{case.name}.nii.gz"
        path = self._target.path(self._folder, f"labels{part}", file)
        nib.save(label_nifti(case, case.labels, self._ignore), path)
        for one in case.readings[1:]:
            path = self._target.path(self._folder, "readings", str(one.reader), file)
            nib.save(label_nifti(case, one, self._ignore), path)
        self._ignored |= any(_is_open(case, one) for one in case.readings)
        self._sheared |= case.frame.sheared
        self._splits[case.split].append(case.name)
        self._cases[case.name] = {"split": case.split.value} | slices_of(case)
        return remarks_on(case, "the image holds its lowest value and the labels the ignore label")

    def close(self) -> Sequence[str]:
        training = self._splits[Split.POOL] + self._splits[Split.VALIDATION]
        labels = self._labels()
        description: dict[str, Any] = {
            "name": self._about.project,
            "channel_names": {str(n): name for n, name in enumerate(self._about.channels)},
            "labels": labels,
            "numTraining": len(training),
            "file_ending": ".nii.gz",
            "classes": list(self._about.classes),
            "cases": self._cases,
        }
        if self._sheared:
            # The default reader takes no grid with a tilt.
            description["overwrite_image_reader_writer"] = "NibabelIO"
        self._write("dataset.json", description)
        renamed = [
            f"nnU-Net keeps names of its own: the class {name!r} is called {label!r} there"
            for name, label in zip(self._about.classes, labels, strict=False)
            if name != label
        ]
        if not (self._splits[Split.VALIDATION] and self._splits[Split.POOL]):
            return renamed
        fold = {"train": self._splits[Split.POOL], "val": self._splits[Split.VALIDATION]}
        self._write("splits_final.json", [fold])
        line = (
            f"nnU-Net looks for splits_final.json in nnUNet_preprocessed/{self._folder}: "
            "copy it there before training, and train fold 0"
        )
        return [*renamed, line]

    def _labels(self) -> dict[str, int]:
        """Names by number, as nnU-Net wants them; ours are kept beside them as "classes"."""
        labels = {"background": 0}
        for number, name in enumerate(self._about.classes[1:], 1):
            taken = name in labels or name in ("background", "ignore")
            labels[f"{name}-{number}" if taken else name] = number
        return labels | ({"ignore": self._ignore} if self._ignored else {})

    def _write(self, file: str, content: Any) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        self._target.path(self._folder, file).write_text(text, encoding="utf-8")


def _is_open(case: ExportedCase, reading: Reading) -> bool:
    """Whether some of a volume's places have no mask."""
    return len(reading.labelled) < case.frame.depth


WRITER: Writer = NnUNet()
