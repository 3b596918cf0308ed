"""A task of the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.described import (
    checked_classes,
    described,
    in_order,
    inside,
    read_json,
    splits_of,
)
from app.formats.files import files_in
from app.formats.layout import DataSet, Detected, Layout, ReadOptions
from app.formats.layouts import nnunet
from app.formats.nifti_cases import choose_of_files, nifti_case
from app.formats.nnunet_description import is_nnunet
from app.formats.volumes import ending_of, stem

_DESCRIPTION = "dataset.json"


@dataclass(frozen=True)
class _Description:
    """What dataset.json says. Its channels are empty where it does not name them."""

    classes: list[str]
    channels: list[str]
    pairs: list[tuple[Path, Path]]
    facts: list[dict[str, Any]]
    splits: dict[str, Split]
    unlabelled: int | None
    test: list[Path]
    left_out: dict[str, str]


class Decathlon:
    """Cases are pairs of files; classes and channels are named by the description."""

    words = "Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/"

    def detect(self, folder: Path) -> Detected | None:
        """By a description that lists its training cases."""
        try:
            found = read_json(described(folder, _DESCRIPTION) / _DESCRIPTION)
        except VolumeInvalid:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("training"), list):
            return None
        pairs = [pair for pair in found["training"] if isinstance(pair, dict)]
        if not pairs or "label" not in pairs[0]:
            return None
        return Detected(f"a task of the Decathlon with {len(pairs)} training cases", 3)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases under "training"."""
        folder = described(folder, _DESCRIPTION)
        path = folder / _DESCRIPTION
        if is_nnunet(path):
            data_set = nnunet.LAYOUT.read(folder, options)
            line = f"{path} describes a raw data set of nnU-Net v2: it is read as one"
            return replace(data_set, warnings=(line, *data_set.warnings))
        found = _described(path, folder)
        images = [image for image, _ in found.pairs]
        choice = choose_of_files(images, options.channels, path, found.channels)
        cases = [
            nifti_case(
                [image],
                mask if options.masks else None,
                choice,
                options=options,
                ignore=found.unlabelled,
                facts=facts,
            )
            for (image, mask), facts in zip(found.pairs, found.facts, strict=True)
        ]
        left_out = dict(found.left_out)
        left_out |= {str(one): 'it is listed under "test", without a label' for one in found.test}
        listed = {path for pair in found.pairs for path in pair} | set(found.test)
        for file in files_in(folder):
            if ending_of(file) and file not in listed:
                left_out[str(file)] = f"{_DESCRIPTION} does not list it"
        return DataSet(cases, found.classes, list(choice.names), found.splits or None, left_out)


def _described(path: Path, folder: Path) -> _Description:
    found = read_json(path)
    try:
        labels = {int(index): str(name) for index, name in found["labels"].items()}
        entries = list(found["training"])
        channels = _numbered(found.get("channel_names") or found.get("modality") or {})
        unlabelled = found.get("unlabelled")
        unlabelled = None if unlabelled is None else int(unlabelled)
        test = [_first(entry) for entry in found.get("test") or []]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VolumeInvalid(f"{path} is not a Decathlon description: {error!r}") from error
    left_out: dict[str, str] = {}
    pairs: dict[tuple[Path, Path], dict[str, Any]] = {}
    splits: dict[str, Any] = {}
    for number, entry in enumerate(entries, 1):
        try:
            pair, facts = _pair(entry, folder, path)
        except VolumeInvalid as error:
            left_out[f"{path} entry {number}"] = str(error)
            continue
        if pair in pairs:
            left_out[f"{path} entry {number}"] = (
                f"{pair[0].name} is listed before: it was taken once"
            )
            continue
        pairs[pair] = facts
        if facts.get("split") is not None:
            splits[stem(pair[0])] = facts["split"]
    if not pairs:
        why = "".join(f"; {entry}: {said}" for entry, said in list(left_out.items())[:3])
        raise VolumeInvalid(f"{path} lists no training cases: there is nothing to import{why}")
    return _Description(
        checked_classes(in_order(labels, "labels", path), path),
        in_order(channels, "channels", path),
        list(pairs),
        list(pairs.values()),
        splits_of(splits, path),
        unlabelled,
        [inside(folder, one, path) for one in test if one],
        left_out,
    )


def _pair(entry: Any, folder: Path, path: Path) -> tuple[tuple[Path, Path], dict[str, Any]]:
    """An entry under "training": its image and label map, and all that it says."""
    if not isinstance(entry, Mapping) or not {"image", "label"} <= entry.keys():
        raise VolumeInvalid('it is no pair of "image" and "label"')
    facts = dict(entry)
    split = facts.get("split")
    if split is not None and split not in {one.value for one in Split}:
        raise VolumeInvalid(f"its split {str(split)[:40]!r} is none of {', '.join(Split)}")
    names = str(facts["image"]), str(facts["label"])
    return (inside(folder, names[0], path), inside(folder, names[1], path)), facts


def _numbered(names: Any) -> dict[int, str]:
    """Channels by number, from a mapping or a list."""
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    return {int(number): str(name) for number, name in pairs}


def _first(entry: Any) -> str | None:
    """The image of an entry under "test": a name, a list of names or a pair."""
    if isinstance(entry, Mapping):
        return str(entry.get("image") or "") or None
    if isinstance(entry, list):
        return str(entry[0]) if entry else None
    return str(entry)


LAYOUT: Layout = Decathlon()
