"""Pictures: images/CASE/INDEX.png (or .tif) with masks/CASE/INDEX.png of class indices."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.core.pixels import Pixels
from app.formats.case import CaseVolume, ChannelStack
from app.formats.channels import Choice, choose_of_pictures
from app.formats.layout import CaseFiles, DataSet, Layout, ReadOptions, some
from app.formats.pictures import read_marks, read_picture

_ENDINGS = (".png", ".tif", ".tiff")


class Pictures:
    """A folder a case, a picture a slice; three channels where it is coloured."""

    words = "Pictures: images/CASE/INDEX.png (or .tif) with masks/CASE/INDEX.png"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The case folders by name."""
        images = folder / "images"
        choice = choose_of_pictures(options.channels, folder)
        folders = sorted(f for f in (images.iterdir() if images.is_dir() else []) if f.is_dir())
        cases = [
            CaseFiles(f.name, lambda f=f: _read(f, folder, options.masks, choice))  # type: ignore[misc]
            for f in some(folders, images, "case folders")
        ]
        return DataSet(cases, channels=list(choice.names))


def _read(case: Path, folder: Path, with_masks: bool, choice: Choice) -> CaseVolume:
    paths = [p for p in case.iterdir() if p.suffix.lower() in _ENDINGS]
    if not all(path.stem.isdigit() for path in paths) or not paths:
        raise VolumeInvalid(f"{case} must hold pictures named by their index, such as 012.png")
    paths.sort(key=lambda path: int(path.stem))
    first = int(paths[0].stem)
    if [int(path.stem) for path in paths] != list(range(first, first + len(paths))):
        raise VolumeInvalid(
            f"the pictures in {case} are not numbered one after the other: {_odd(paths)}"
        )
    image = _stack(paths, [read_picture(path, choice) for path in paths])
    classes = None
    if with_masks:
        masks = [folder / "masks" / case.name / f"{path.stem}.png" for path in paths]
        classes = _stack(masks, [read_marks(path) for path in masks])
        if classes.shape != image.shape[:3]:
            raise VolumeInvalid(
                f"the masks of {case} have the shape {classes.shape}, not {image.shape[:3]}"
            )
    channels = tuple(ChannelStack(image[..., n]) for n in range(image.shape[-1]))
    return CaseVolume(
        channels,
        None if classes is None else classes.astype(np.uint8),
        first_index=first,
        source={"kind": "pictures", "file": case.name},
    )


def _odd(paths: list[Path]) -> str:
    """The first two neighbours that do not follow each other."""
    pairs = pairwise(paths)
    before, after = next((a, b) for a, b in pairs if int(b.stem) - int(a.stem) != 1)
    return f"{before.name} is followed by {after.name}"


def _stack(paths: list[Path], pictures: list[Pixels]) -> Pixels:
    if len({picture.shape for picture in pictures}) > 1:
        raise VolumeInvalid(f"the pictures in {paths[0].parent} differ in size")
    return np.stack(pictures)  # type: ignore[return-value]  # NumPy forgets the type of a union


LAYOUT: Layout = Pictures()
