"""nnU-Net v2 raw: dataset.json, imagesTr/CASE_0000.nii.gz (a file a channel), labelsTr/CASE.nii.gz.

Its splits come too: cases of imagesTs with labels are the test, those of fold 0 the validation.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.case import CaseVolume
from app.formats.channels import Choice, choose
from app.formats.described import checked_classes, described, in_order, inside, read_json, splits_of
from app.formats.files import files_in
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions, some
from app.formats.nifti_cases import read_nifti
from app.formats.nnunet_labels import NnUNetLabels, labels_of
from app.formats.picture_stacks import read_picture_case
from app.formats.pictures import PICTURES

_DESCRIPTION, _FOLDS = "dataset.json", "splits_final.json"
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>[0-9]{4})")


@dataclass(frozen=True)
class _Files:
    """The files of a case: its channels by number, and its label map."""

    images: dict[int, Path] = field(default_factory=dict)
    label: Path | None = None


@dataclass(frozen=True)
class _Description:
    """What dataset.json says."""

    path: Path
    channels: list[str]
    labels: NnUNetLabels
    ending: str
    listed: Mapping[str, Any] | None
    splits: dict[str, Split]


class NnUNet:
    """A case is a file for each channel, whose number ends its name."""

    words = "nnU-Net v2 raw: dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz"

    def detect(self, folder: Path) -> Detected | None:
        """By a description with channels and labels by name."""
        if not is_nnunet(described(folder, _DESCRIPTION) / _DESCRIPTION):
            return None
        return Detected("a raw data set of nnU-Net v2", 3)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases of imagesTr, and those of imagesTs that have labels."""
        folder = described(folder, _DESCRIPTION)
        about = _described(folder)
        choice = choose(about.channels, options.channels, about.path)
        found, left_out = _listed(folder, about) if about.listed else _found(folder, about.ending)
        some(found, folder, f"images named as in imagesTr/CASE_0000{about.ending}")
        cases = [
            CaseFiles(name, _reader(name, files, about, choice, options))
            for name, files in found.items()
        ]
        splits, warnings = _splits(folder, found)
        return DataSet(
            cases,
            about.labels.classes,
            list(choice.names),
            (splits | about.splits) or None,
            left_out,
            about.labels.warnings + warnings,
        )


def is_nnunet(path: Path) -> bool:
    """Whether a description names channels and labels as nnU-Net v2 does, and lists no pairs."""
    try:
        found = read_json(path)
        labels_of(found.get("labels"), path)
    except (VolumeInvalid, AttributeError):
        return False
    return "channel_names" in found and not isinstance(found.get("training"), list)


def _described(folder: Path) -> _Description:
    path = folder / _DESCRIPTION
    found = read_json(path)
    try:
        channels = {int(n): str(name) for n, name in found["channel_names"].items()}
        labels = labels_of(found["labels"], path)
        cases = found.get("cases") or {}
        splits = {str(case): facts["split"] for case, facts in cases.items() if "split" in facts}
        own = [str(name) for name in found.get("classes") or ()]
        listed = found.get("dataset") or None
        if listed is not None and not isinstance(listed, Mapping):
            raise TypeError("dataset is not a mapping")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VolumeInvalid(f"{path} is not a description of nnU-Net v2: {error!r}") from error
    if len(own) == len(labels.classes):
        # An export of ours keeps the names that nnU-Net could not have.
        labels = NnUNetLabels(checked_classes(own, path), labels.ignore, labels.warnings)
    ending = str(found.get("file_ending") or ".nii.gz")
    return _Description(
        path, in_order(channels, "channels", path), labels, ending, listed, splits_of(splits, path)
    )


def _found(folder: Path, ending: str) -> tuple[dict[str, _Files], dict[str, str]]:
    """Cases by the names of files."""
    found: dict[str, _Files] = {}
    left_out: dict[str, str] = {}
    used: set[Path] = set()
    for part in ("Tr", "Ts"):
        labels = {_stem(p, ending): p for p in _files(folder / f"labels{part}", ending)}
        for path in _files(folder / f"images{part}", ending):
            match = _CHANNEL.fullmatch(_stem(path, ending))
            if match is None:
                left_out[str(path)] = "its name does not end in the number of a channel (_0000)"
            elif part == "Ts" and match["case"] not in labels:
                left_out[str(path)] = "it is of imagesTs, without a label map in labelsTs"
            else:
                # One name in both parts is of two cases.
                taken = part == "Ts" and (folder / "imagesTr" / path.name).exists()
                case = f"{match['case']}-Ts" if taken else match["case"]
                files = found.setdefault(case, _Files({}, labels.get(match["case"])))
                files.images.setdefault(int(match["channel"]), path)
        images = {files.label for files in found.values()}
        for path in labels.values():
            if path not in images:
                left_out[str(path)] = "it is a label map without an image of its name"
        used |= set(labels.values())
    known = {p for files in found.values() for p in files.images.values()} | used
    for path in files_in(folder):
        if path not in known and path.name not in (_DESCRIPTION, _FOLDS):
            left_out.setdefault(str(path), _why_left(path, ending))
    return found, left_out


def _why_left(path: Path, ending: str) -> str:
    if path.parent.name in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        return f"its name does not end in {ending}, as the description says"
    return "it is no image or label map of the data set"


def _listed(folder: Path, about: _Description) -> tuple[dict[str, _Files], dict[str, str]]:
    """Cases as the description lists them."""
    found: dict[str, _Files] = {}
    try:
        for case, files in (about.listed or {}).items():
            images = [inside(folder, name, about.path) for name in files["images"]]
            label = files.get("label")
            found[str(case)] = _Files(
                dict(enumerate(images)), inside(folder, label, about.path) if label else None
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise VolumeInvalid(
            f"{about.path} lists its cases in another way than nnU-Net v2: {error!r}"
        ) from error
    return found, {}


def _reader(
    name: str, files: _Files, about: _Description, choice: Choice, options: ReadOptions
) -> Callable[[], CaseVolume]:
    def read() -> CaseVolume:
        label = files.label if options.masks else None
        if options.masks and label is None:
            raise VolumeInvalid(
                f"case {name!r} has no label map labelsTr/{name}{about.ending}: add it, or import "
                "without masks"
            )
        if about.ending.lower() in PICTURES:
            return read_picture_case(
                name, files.images, label, choice, about.path, about.labels.ignore
            )
        wanted = _wanted(name, files.images, choice.numbers, about)
        own = Choice(choice.names, tuple(range(len(wanted))), len(wanted))
        return read_nifti(wanted, label, own, options, about.labels.ignore)

    return read


def _wanted(
    name: str, images: Mapping[int, Path], numbers: Sequence[int], about: _Description
) -> list[Path]:
    missing = [number for number in numbers if number not in images]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no {', '.join(f'{name}_{n:04d}{about.ending}' for n in missing)}, "
            f"of the channels {', '.join(about.channels)}: add it, or name channels that every "
            "case has with --channel"
        )
    return [images[number] for number in numbers]


def _splits(folder: Path, found: Mapping[str, _Files]) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Test cases by their folder, validation cases by the first fold."""
    splits = {
        name: Split.TEST
        for name, files in found.items()
        if any(path.parent.name == "imagesTs" for path in files.images.values())
    }
    path = folder / _FOLDS
    if not path.is_file():
        return splits, ()
    folds = read_json(path)
    try:
        validation = {str(name) for name in folds[0]["val"]}
    except (KeyError, TypeError, IndexError) as error:
        raise VolumeInvalid(f"{path} has no folds of nnU-Net in it: {error!r}") from error
    unknown = sorted(validation - found.keys())
    splits = {
        name: Split.VALIDATION if name in validation else Split.POOL for name in found
    } | splits
    warnings = []
    if len(folds) > 1:
        warnings.append(f"{path}: of its {len(folds)} folds the first is taken for the validation")
    if unknown:
        warnings.append(f"{path}: there are no cases {', '.join(unknown[:8])}, which it names")
    return splits, tuple(warnings)


def _files(folder: Path, ending: str) -> list[Path]:
    files = files_in(folder) if folder.is_dir() else []
    return [path for path in files if path.name.lower().endswith(ending.lower())]


def _stem(path: Path, ending: str) -> str:
    return path.name[: -len(ending)] if ending else path.name


LAYOUT: Layout = NnUNet()
