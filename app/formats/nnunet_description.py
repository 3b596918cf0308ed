"""dataset.json and splits_final.json of nnU-Net v2."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.described import checked_classes, in_order, read_json, splits_of
from app.formats.nnunet_labels import NnUNetLabels, labels_of

DESCRIPTION, FOLDS = "dataset.json", "splits_final.json"


@dataclass(frozen=True)
class NnUNetDescription:
    """What dataset.json says.

    ``listed``: files by case, where it lists them; ``splits``, ``facts``: by case, where an export
    of ours says them.
    """

    path: Path
    channels: list[str]
    labels: NnUNetLabels
    ending: str
    listed: Mapping[str, Any] | None
    splits: dict[str, Split]
    facts: Mapping[str, Mapping[str, Any]]


def is_nnunet(path: Path) -> bool:
    """Whether a description names channels and labels as nnU-Net v2 does, and lists no pairs."""
    try:
        found = read_json(path)
        labels_of(found.get("labels"), path)
    except (VolumeInvalid, AttributeError):
        return False
    return "channel_names" in found and not isinstance(found.get("training"), list)


def description_in(folder: Path) -> NnUNetDescription:
    """From a folder's dataset.json. Raises ``VolumeInvalid``."""
    path = folder / DESCRIPTION
    found = read_json(path)
    try:
        channels = {int(n): str(name) for n, name in found["channel_names"].items()}
        labels = labels_of(found["labels"], path)
        cases = {str(case): dict(facts) for case, facts in (found.get("cases") or {}).items()}
        splits = {case: facts["split"] for case, facts in cases.items() if "split" in facts}
        own = [str(name) for name in found.get("classes") or ()]
        listed = found.get("dataset") or None
        if listed is not None and not isinstance(listed, Mapping):
            raise TypeError("dataset is not a mapping")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VolumeInvalid(f"{path} is not a description of nnU-Net v2: {error!r}") from error
    if not channels:
        raise VolumeInvalid(f"{path} names no channels: there is nothing to import")
    if len(own) == len(labels.classes):
        # An export of ours keeps the names that nnU-Net could not have.
        labels = NnUNetLabels(checked_classes(own, path), labels.ignore, labels.warnings)
    ending = str(found.get("file_ending") or ".nii.gz")
    return NnUNetDescription(
        path,
        in_order(channels, "channels", path),
        labels,
        ending,
        listed,
        splits_of(splits, path),
        cases,
    )


def splits_in(
    folder: Path, cases: Collection[str], test: Collection[str]
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The ``test`` cases, and the validation of the first fold; what to report of the folds.

    Raises ``VolumeInvalid`` for folds that are none.
    """
    splits = dict.fromkeys(test, Split.TEST)
    path = folder / FOLDS
    if not path.is_file():
        return splits, ()
    folds = read_json(path)
    try:
        validation = {str(name) for name in folds[0]["val"]}
    except (KeyError, TypeError, IndexError) as error:
        raise VolumeInvalid(f"{path} has no folds of nnU-Net in it: {error!r}") from error
    unknown = sorted(validation - set(cases))
    splits = {
        name: Split.VALIDATION if name in validation else Split.POOL for name in cases
    } | splits
    warnings = []
    if len(folds) > 1:
        warnings.append(f"{path}: of its {len(folds)} folds the first is taken for the validation")
    if unknown:
        warnings.append(f"{path}: there are no cases {', '.join(unknown[:8])}, which it names")
    return splits, tuple(warnings)
