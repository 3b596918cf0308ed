"""A task of the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.formats.layout import DataSet, Layout, ReadOptions
from app.formats.nifti_cases import choose_of_files, nifti_case


@dataclass(frozen=True)
class _Description:
    """What dataset.json says. Its channels are empty where it does not name them."""

    classes: list[str]
    channels: list[str]
    pairs: list[tuple[Path, Path]]


class Decathlon:
    """Cases are pairs of files; classes and channels are named by the description."""

    words = "Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases under "training"."""
        path = folder / "dataset.json"
        found = _described(path, folder)
        images = [image for image, _ in found.pairs]
        choice = choose_of_files(images, options.channels, path, found.channels)
        cases = [
            nifti_case([image], mask if options.masks else None, choice)
            for image, mask in found.pairs
        ]
        return DataSet(cases, found.classes, list(choice.names))


def _described(path: Path, folder: Path) -> _Description:
    try:
        found = json.loads(path.read_text())
        labels = {int(index): str(name) for index, name in found["labels"].items()}
        pairs = [(folder / pair["image"], folder / pair["label"]) for pair in found["training"]]
        channels = _in_order(found.get("channel_names") or found.get("modality") or {})
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there: is this a Decathlon task?") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise VolumeInvalid(f"{path} is not a Decathlon description: {error!r}") from error
    for what, numbers in (("labels", labels), ("channels", channels)):
        if sorted(numbers) != list(range(len(numbers))):
            raise VolumeInvalid(
                f"{path} numbers the {what} {', '.join(map(str, sorted(numbers)))}: they go from "
                "0 up without a gap"
            )
    root = folder.resolve()
    for file in (file for pair in pairs for file in pair):
        if not file.resolve().is_relative_to(root):
            raise VolumeInvalid(f"{path} names {file}, which lies outside of {folder}")
    return _Description(
        [labels[n] for n in range(len(labels))], [channels[n] for n in range(len(channels))], pairs
    )


def _in_order(names: Any) -> dict[int, str]:
    """Channels by number, from a mapping or a list."""
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    return {int(number): str(name) for number, name in pairs}


LAYOUT: Layout = Decathlon()
