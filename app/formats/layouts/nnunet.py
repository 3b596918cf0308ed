"""nnU-Net v2 raw: dataset.json, imagesTr/CASE_0000.nii.gz (a file a channel), labelsTr/CASE.nii.gz.

Its splits come too: cases of imagesTs with labels are the test, those of fold 0 the validation.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.case import CaseVolume
from app.formats.channels import Choice, choose
from app.formats.described import described, inside
from app.formats.files import files_in
from app.formats.label_files import LabelFiles
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions, some
from app.formats.nifti_cases import read_nifti
from app.formats.nnunet_description import (
    DESCRIPTION,
    FOLDS,
    NnUNetDescription,
    description_in,
    is_nnunet,
    splits_in,
)
from app.formats.picture_stacks import read_picture_case
from app.formats.pictures import PICTURES

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>[0-9]{4})")


@dataclass(frozen=True)
class _Files:
    """The files of a case: its channels by number, and its label map."""

    images: dict[int, Path] = field(default_factory=dict)
    label: Path | None = None
    labels: LabelFiles[str] = field(default_factory=LabelFiles)


class NnUNet:
    """A case is a file for each channel, whose number ends its name."""

    words = "nnU-Net v2 raw: dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz"

    def detect(self, folder: Path) -> Detected | None:
        """By a description with channels and labels by name."""
        if not is_nnunet(described(folder, DESCRIPTION) / DESCRIPTION):
            return None
        return Detected("a raw data set of nnU-Net v2", 3)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases of imagesTr, and those of imagesTs that have labels."""
        folder = described(folder, DESCRIPTION)
        about = description_in(folder)
        choice = choose(about.channels, options.channels, about.path)
        found, left_out = _listed(folder, about) if about.listed else _found(folder, about.ending)
        some(found, folder, f"images named as in imagesTr/CASE_0000{about.ending}")
        cases = [
            CaseFiles(name, _reader(name, files, about, choice, options))
            for name, files in found.items()
        ]
        test = [name for name, files in found.items() if _is_test(files)]
        splits, warnings = splits_in(folder, found, test)
        return DataSet(
            cases,
            about.labels.classes,
            list(choice.names),
            (splits | about.splits) or None,
            left_out,
            about.labels.warnings + warnings,
        )


def _found(folder: Path, ending: str) -> tuple[dict[str, _Files], dict[str, str]]:
    """Cases by the names of files."""
    found: dict[str, _Files] = {}
    left_out: dict[str, str] = {}
    used: set[Path] = set()
    for part in ("Tr", "Ts"):
        labels: LabelFiles[str] = LabelFiles()
        for path in _files(folder / f"labels{part}", ending):
            labels.add(_stem(path, ending), path)
        for path in _files(folder / f"images{part}", ending):
            match = _CHANNEL.fullmatch(_stem(path, ending))
            if match is None:
                left_out[str(path)] = "its name does not end in the number of a channel (_0000)"
            elif part == "Ts" and match["case"] not in labels.first:
                left_out[str(path)] = "it is of imagesTs, without a label map in labelsTs"
            else:
                # One name in both parts is of two cases.
                taken = part == "Ts" and (folder / "imagesTr" / path.name).exists()
                case = f"{match['case']}-Ts" if taken else match["case"]
                files = found.setdefault(case, _Files({}, labels.first.get(match["case"]), labels))
                files.images.setdefault(int(match["channel"]), path)
        images = {files.label for files in found.values()}
        for path in labels.first.values():
            if path not in images:
                left_out[str(path)] = "it is a label map without an image of its name"
        used |= set(labels.first.values())
    known = {p for files in found.values() for p in files.images.values()} | used
    for path in files_in(folder):
        if path not in known and path.name not in (DESCRIPTION, FOLDS):
            left_out.setdefault(str(path), _why_left(path, ending))
    return found, left_out


def _why_left(path: Path, ending: str) -> str:
    if path.parent.name in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        return f"its name does not end in {ending}, as the description says"
    return "it is no image or label map of the data set"


def _listed(folder: Path, about: NnUNetDescription) -> tuple[dict[str, _Files], dict[str, str]]:
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
    name: str, files: _Files, about: NnUNetDescription, choice: Choice, options: ReadOptions
) -> Callable[[], CaseVolume]:
    def read() -> CaseVolume:
        label = files.label if options.masks else None
        if label is not None:
            files.labels.get(name.removesuffix("-Ts"))  # two of them are refused
        if options.masks and label is None:
            raise VolumeInvalid(
                f"case {name!r} has no label map labelsTr/{name}{about.ending}: add it, or import "
                "without masks"
            )
        if not files.images:
            raise VolumeInvalid(f"{about.path} lists no images of the case {name!r}")
        if about.ending.lower() in PICTURES:
            return read_picture_case(
                name, files.images, label, choice, about.path, about.labels.ignore
            )
        wanted = _wanted(name, files.images, choice.numbers, about)
        own = Choice(choice.names, tuple(range(len(wanted))), len(wanted))
        facts = about.facts.get(name)
        return read_nifti(wanted, label, own, options, about.labels.ignore, facts)

    return read


def _wanted(
    name: str, images: Mapping[int, Path], numbers: Sequence[int], about: NnUNetDescription
) -> list[Path]:
    missing = [number for number in numbers if number not in images]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no {', '.join(f'{name}_{n:04d}{about.ending}' for n in missing)}, "
            f"of the channels {', '.join(about.channels)}: add it, or name channels that every "
            "case has with --channel"
        )
    return [images[number] for number in numbers]


def _is_test(files: _Files) -> bool:
    return any(path.parent.name == "imagesTs" for path in files.images.values())


def _files(folder: Path, ending: str) -> list[Path]:
    files = [path for path in files_in(folder) if path.parent == folder]
    return [path for path in files if path.name.lower().endswith(ending.lower())]


def _stem(path: Path, ending: str) -> str:
    return path.name[: -len(ending)] if ending else path.name


LAYOUT: Layout = NnUNet()
