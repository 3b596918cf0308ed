"""DICOM: every clean stack of a pile of files is a case, whatever the folders are."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.channels import choose_of_pictures
from app.formats.dicom.header import is_dicom
from app.formats.dicom.marks import Marks, class_names
from app.formats.dicom.naming import names_of, place_of
from app.formats.dicom.pile import Pile, read_pile
from app.formats.dicom.sorting import Stack, stacks_of
from app.formats.dicom.volume import read_stack
from app.formats.files import files_in, natural
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions

# Files that are opened to tell what a folder is, and those that a message names.
_LOOKED_AT, _NAMED = 10, 3


class DicomSeries:
    """Each stack of each series is a case."""

    words = "DICOM: series in any folders; with SEG or RTSTRUCT as masks"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """All headers at any depth are read, and no pixels."""
        choice = choose_of_pictures(options.channels, folder)
        pile = read_pile(files_in(folder), options.masks)
        stacks = stacks_of(pile.frames)
        if not stacks:
            for one in pile.marks:
                pile.left_out[str(one.path)] = "it marks images that are not here"
            raise VolumeInvalid(_nothing(folder, pile.left_out))
        named = sorted(
            zip(names_of(stacks, folder), stacks, strict=True), key=lambda one: natural(one[0])
        )
        marks = _marks_of(pile, stacks) if options.masks else []
        classes = class_names(marks) if marks else None
        cases = [
            CaseFiles(
                name,
                partial(
                    read_stack,
                    stack,
                    _where(stack),
                    choice,
                    [one for one in marks if one.belong_to(stack)] if options.masks else None,
                    classes or (),
                ),
            )
            for name, stack in named
        ]
        return DataSet(cases, classes, list(choice.names), left_out=pile.left_out)

    def detect(self, folder: Path) -> Detected | None:
        """By the files themselves: the first few are asked whether they are DICOM."""
        files = files_in(folder)
        if any(path.name == "DICOMDIR" for path in files):
            return Detected("DICOM files with a DICOMDIR", 3)
        few = files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]
        found = sum(is_dicom(path) for path in few)
        if not found:
            return None
        return Detected("DICOM files", 3 if 2 * found > len(few) else 1)


def _marks_of(pile: Pile, stacks: Sequence[Stack]) -> list[Marks]:
    """The objects that mark any of the stacks; the others are left out."""
    found = [one for one in pile.marks if any(one.belong_to(stack) for stack in stacks)]
    for one in pile.marks:
        if one not in found:
            pile.left_out[str(one.path)] = "it refers to no series of this folder"
    return found


def _where(stack: Stack) -> Path:
    """What messages call a stack: its one file, or its folder."""
    files = {frame.path for frame in stack.frames}
    return next(iter(files)) if len(files) == 1 else place_of(stack)


def _nothing(folder: Path, left_out: Mapping[str, str]) -> str:
    """Why a folder has no case: the first few files and what they are."""
    if not left_out:
        return f"there are no DICOM files in {folder}"
    few = [f"{file}: {reason}" for file, reason in list(left_out.items())[:_NAMED]]
    more = len(left_out) - len(few)
    return (
        f"there are no DICOM images in {folder}: "
        + "; ".join(few)
        + (f"; and {more} further files" if more else "")
    )


LAYOUT: Layout = DicomSeries()
