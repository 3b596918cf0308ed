"""BraTS of all years: CASE/CASE_t1.nii.gz, _t1ce, _t2 and _flair, with CASE_seg.nii.gz.

Since 2023 the same sequences are called -t1n, -t1c, -t2w and -t2f, and enhancing tumour is 3
where it was 4. Since 2024 a 4 in files of these names is the cavity of a resection.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.formats.case import CaseVolume
from app.formats.channels import Choice, choose
from app.formats.files import files_in
from app.formats.label_files import LabelFiles
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions, some
from app.formats.nifti_cases import read_nifti

_SEQUENCES = ("t1", "t1ce", "t2", "flair")
# The names since 2023.
_RENAMED = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
_FILE = re.compile(
    r"(?P<case>.+)[_-](?P<what>t1|t1ce|t2|flair|t1n|t1c|t2w|t2f|seg)\.nii(?:\.gz)?", re.IGNORECASE
)
# Necrotic and non-enhancing, and enhancing tumour: the core, as in the paper. Oedema (2) is not.
_CORE, _CORE_SINCE_2023, _CAVITY = (1, 3, 4), (1, 3), 4
# Children's tumours, whose numbers mean other things from one year to the next.
_CHILDREN = re.compile(r"(^|[-_])PED(s)?([-_]|$)", re.IGNORECASE)


@dataclass
class _Files:
    """The files of a case; ``renamed``: by the names since 2023."""

    sequences: dict[str, Path] = field(default_factory=dict)
    segmentation: Path | None = None
    labels: LabelFiles[str] = field(default_factory=LabelFiles)
    renamed: bool = False


class Brats:
    """Sequences side by side are channels; the target is the tumour core."""

    words = "BraTS: CASE/CASE_flair.nii.gz and the other sequences, with CASE_seg.nii.gz"

    def detect(self, folder: Path) -> Detected | None:
        """By the names of files: at least two sequences of a case, or one and its segmentation."""
        found, _ = _cases(folder)
        whole = [f for _, f in found if len(f.sequences) + bool(f.segmentation) > 1]
        if not whole:
            return None
        return Detected(f"{len(found)} cases named as in BraTS", 2)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """All sequences that any case has, or those that are asked for.

        A case that lacks one is refused by name when it is read: a sequence that one case lacks
        must not be lost for all.
        """
        found, left_out = _cases(folder)
        some(found, folder, "BraTS files (CASE_flair.nii.gz, CASE_t1.nii.gz …)")
        anywhere = [s for s in _SEQUENCES if any(s in f.sequences for _, f in found)]
        asked = [_RENAMED.get(name.lower(), name) for name in options.channels]
        choice = choose(anywhere, asked, folder)
        wanted = [anywhere[number] for number in choice.numbers]
        cases = [
            CaseFiles(name, lambda f=files, n=name: _read(n, f, wanted, options))  # type: ignore[misc]
            for name, files in found
        ]
        return DataSet(cases, ["background", "tumour core"], list(choice.names), left_out=left_out)


def _cases(folder: Path) -> tuple[list[tuple[str, _Files]], dict[str, str]]:
    """The files of each case, by name, and what else there is. A case is named by its folder."""
    found: dict[tuple[Path, str], _Files] = {}
    left_out: dict[str, str] = {}
    for path in files_in(folder):
        match = _FILE.fullmatch(path.name)
        if match is None:
            left_out[str(path)] = "its name is none of a BraTS sequence or segmentation"
            continue
        files = found.setdefault((path.parent, match["case"]), _Files())
        what = match["what"].lower()
        if what == "seg":
            files.segmentation = files.segmentation or path
            files.labels.add("", path)
            continue
        files.renamed |= what in _RENAMED
        sequence = _RENAMED.get(what, what)
        if sequence in files.sequences:
            left_out[str(path)] = f"{files.sequences[sequence].name} is taken for the same sequence"
        files.sequences.setdefault(sequence, path)
    for (parent, prefix), files in list(found.items()):
        if not files.sequences:
            left_out[str(files.segmentation)] = "it is a segmentation without a sequence"
            del found[parent, prefix]
    together = [parent for parent, _ in found]
    return [
        # Several in one folder, or one in the folder itself, are told apart by their files.
        (prefix if together.count(parent) > 1 or parent == folder else parent.name, files)
        for (parent, prefix), files in found.items()
    ], left_out


def _read(name: str, files: _Files, wanted: list[str], options: ReadOptions) -> CaseVolume:
    missing = [sequence for sequence in wanted if sequence not in files.sequences]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no {', '.join(missing)}: it has {', '.join(files.sequences)}; to "
            "take it in, name sequences that every case has with --channel"
        )
    images = [files.sequences[sequence] for sequence in wanted]
    if options.masks and files.segmentation is None:
        raise VolumeInvalid(
            f"case {name!r} has no segmentation beside {images[0]}: add CASE_seg.nii.gz, or import "
            "without masks"
        )
    if options.masks:
        files.labels.get("")  # two of them are refused
    names = tuple(wanted)
    choice = Choice(names, tuple(range(len(names))), len(names))
    volume = read_nifti(images, files.segmentation if options.masks else None, choice, options)
    if volume.classes is None or files.segmentation is None:
        return volume
    return _with_core(volume, volume.classes, files.segmentation, files.renamed)


def _with_core(
    volume: CaseVolume,
    marks: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    path: Path,
    new: bool,
) -> CaseVolume:
    """The tumour core as the one class. Raises ``VolumeInvalid`` for numbers of other meanings."""
    counts = np.bincount(marks.reshape(-1), minlength=5)
    others = [int(n) for n in np.flatnonzero(counts) if n > 4]
    if others:
        raise VolumeInvalid(
            f"{path} holds the labels {', '.join(map(str, others))}, which BraTS does not have: "
            "its labels are 0 to 4; import it with the layout nifti"
        )
    if new and _CHILDREN.search(path.name):
        raise VolumeInvalid(
            f"{path} is of a child's tumour, where BraTS gave the labels other meanings from one "
            "year to the next: import it with the layout nifti, which keeps the numbers"
        )
    warnings = volume.warnings
    if new and counts[_CAVITY]:
        line = f"{path}: label 4 ({counts[_CAVITY]} voxels) is the cavity of a resection in files"
        warnings += (f"{line} named as since 2023: it is not taken into the tumour core",)
    core = _CORE_SINCE_2023 if new else _CORE
    return replace(volume, classes=np.isin(marks, core).astype(np.uint8), warnings=warnings)


LAYOUT: Layout = Brats()
