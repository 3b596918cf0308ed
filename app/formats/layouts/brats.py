"""BraTS to 2021: CASE/CASE_t1.nii.gz, _t1ce, _t2 and _flair, with CASE_seg.nii.gz."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.formats.case import CaseVolume
from app.formats.channels import Choice, choose
from app.formats.layout import CaseFiles, DataSet, Layout, ReadOptions, some
from app.formats.nifti_cases import SUFFIXES, read_nifti

_SEQUENCES = ("t1", "t1ce", "t2", "flair")
_FILE = re.compile(r"(.+)_(t1|t1ce|t2|flair)\.nii(?:\.gz)?")
# Necrotic and non-enhancing, and enhancing tumour: the core, as in the paper. Oedema (2) is not.
_CORE = (1, 4)

_Files = Mapping[str, Path]


class Brats:
    """Sequences side by side are channels; the target is the tumour core."""

    words = "BraTS: CASE/CASE_flair.nii.gz and the other sequences, with CASE_seg.nii.gz"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """All sequences that any case has, or those that are asked for.

        A case that lacks one is refused by name when it is read: a sequence that one case lacks
        must not be lost for all.
        """
        found = some(_cases(folder), folder, "BraTS files (CASE_flair.nii.gz, CASE_t1.nii.gz …)")
        anywhere = [s for s in _SEQUENCES if any(s in files for files in found.values())]
        choice = choose(anywhere, options.channels, folder)
        wanted = [anywhere[number] for number in choice.numbers]
        cases = [
            CaseFiles(name, lambda f=files, n=name: _read(n, f, wanted, options.masks))  # type: ignore[misc]
            for name, files in found.items()
        ]
        return DataSet(cases, ["background", "tumour core"], list(choice.names))


def _cases(folder: Path) -> dict[str, _Files]:
    """The sequences of each case, by name; a case is named after its folder."""
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in sorted(folder.rglob("*.nii*")):
        match = _FILE.fullmatch(path.name)
        if match:
            found.setdefault((path.parent, match[1]), {}).setdefault(match[2], path)
    together = [parent for parent, _ in found]
    return {
        # Several in one folder are told apart by their files.
        prefix if together.count(parent) > 1 else parent.name: files
        for (parent, prefix), files in found.items()
    }


def _read(name: str, files: _Files, wanted: list[str], masks: bool) -> CaseVolume:
    missing = [sequence for sequence in wanted if sequence not in files]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no {', '.join(missing)}: it has {', '.join(files)}; to take it in, "
            "name sequences that every case has with --channel"
        )
    images = [files[sequence] for sequence in wanted]
    names = tuple(wanted)
    choice = Choice(names, tuple(range(len(names))), len(names))
    volume = read_nifti(images, _segmentation(images[0]) if masks else None, choice)
    if volume.classes is None:
        return volume
    return replace(volume, classes=np.isin(volume.classes, _CORE).astype(np.uint8))


def _segmentation(image: Path) -> Path:
    prefix = image.name.rpartition("_")[0]
    paths = [image.with_name(f"{prefix}_seg{suffix}") for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])


LAYOUT: Layout = Brats()
