"""Pictures: images/CASE/INDEX.png (or .tif) with masks/CASE/INDEX.png of class indices.

With patterns, any other order of folders and names: {case}, {index} and {channel}. Without
{index}, each picture is a case of one slice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.case import CaseVolume, ChannelStack
from app.formats.channels import Choice, choose, choose_of_pictures
from app.formats.described import OURS, OurNotes, our_notes
from app.formats.files import files_in, natural
from app.formats.label_files import LabelFiles
from app.formats.label_maps import LabelMap
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions, some
from app.formats.patterns import Pattern
from app.formats.picture_notes import geometry_from, rescale_from
from app.formats.picture_stacks import gaps_in_words, indices_or_first, masks_of, stack_of
from app.formats.pictures import PICTURES, index_of

_IMAGES, _MASKS = "images", "masks"
_BY_INDEX = "pictures of a case are named by their index, such as 012.png"
_ONE = Choice(("image",), (0,), 1)


@dataclass
class _Case:
    """The pictures of a case by channel (empty for the only one) and index, and its masks."""

    images: dict[str, dict[int, Path]] = field(default_factory=dict)
    masks: LabelFiles[int] = field(default_factory=LabelFiles)
    unnamed: list[Path] = field(default_factory=list)
    doubled: list[tuple[Path, Path]] = field(default_factory=list)

    def add(self, channel: str, index: int | None, path: Path) -> None:
        """A picture; several of one index are told when the case is read."""
        pictures = self.images.setdefault(channel, {})
        if index is None:
            self.unnamed.append(path)
        elif index in pictures:
            self.doubled.append((pictures[index], path))
        else:
            pictures[index] = path


class Pictures:
    """A folder a case, a picture a slice; three channels where it is coloured."""

    words = "Pictures: images/CASE/INDEX.png (or .tif) with masks/CASE/INDEX.png"

    def detect(self, folder: Path) -> Detected | None:
        """By pictures named by numbers in folders below images/."""
        images = folder / _IMAGES
        found = [path for path in files_in(images) if _is_slice(path) and path.parent != images]
        if not found:
            return None
        cases = len({path.parent for path in found})
        return Detected(f"{len(found)} pictures in {cases} folders below images/", 2)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The case folders in natural order."""
        notes = our_notes(folder)
        channels = _channel_folders(folder / _IMAGES, notes)
        if options.images:
            found, left_out = _by_pattern(folder, options)
        else:
            found, left_out = _by_folder(folder, channels)
        what = f"pictures that fit {options.images}" if options.images else "case folders"
        some(found, folder if options.images else folder / _IMAGES, what)
        names = sorted({c for case in found.values() for c in case.images if c}, key=natural)
        names = [c for c in channels if c in names] or names
        if names:
            choice = choose(names, options.channels, folder)
        else:
            asked = options.channels or (tuple(notes.channels or ()) if _coloured(notes) else ())
            choice = choose_of_pictures(asked, folder)
        cases = [
            CaseFiles(_flat(name), _reader(_flat(name), case, names, choice, options, notes))
            for name, case in found.items()
        ]
        return DataSet(cases, notes.classes, list(choice.names), notes.splits or None, left_out)


def _flat(name: str) -> str:
    """A case's name: cases are kept by the way to them, so that a/b and a_b stay apart."""
    return name.replace("/", "_")


def _is_slice(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and index_of(path.stem) is not None


def _coloured(notes: OurNotes) -> bool:
    return len(notes.channels or ()) == 3


def _channel_folders(images: Path, notes: OurNotes) -> list[str]:
    """Channels that an export of ours has put into folders of their own below images/."""
    names = notes.channels or []
    apart = len(names) > 1 and all((images / name).is_dir() for name in names)
    return names if apart and next(images.glob("*/*.png"), None) is None else []


def _by_folder(folder: Path, channels: Sequence[str]) -> tuple[Mapping[str, _Case], dict[str, str]]:
    found: dict[str, _Case] = {}
    left_out: dict[str, str] = {}
    tops = {folder / _IMAGES / channel: channel for channel in channels}
    tops = tops or {folder / _IMAGES: ""}
    masks = folder / _MASKS
    for path in files_in(folder):
        top = next((top for top in tops if top in path.parents), None)
        picture = path.suffix.lower() in PICTURES
        if top and picture and path.parent != top:
            case = found.setdefault(path.parent.relative_to(top).as_posix(), _Case())
            case.add(tops[top], index_of(path.stem), path)
        elif masks not in path.parents and path.name != OURS:
            left_out[str(path)] = "it is no picture of a case: images/CASE/INDEX.png is expected"
    for path in files_in(masks):
        case_or_none = found.get(path.parent.relative_to(masks).as_posix())
        index = index_of(path.stem) if path.suffix.lower() in PICTURES else None
        if case_or_none is None or index is None:
            left_out[str(path)] = "it is no mask of a picture: masks/CASE/INDEX.png is expected"
        else:
            case_or_none.masks.add(index, path)
    return found, left_out


def _by_pattern(folder: Path, options: ReadOptions) -> tuple[Mapping[str, _Case], dict[str, str]]:
    fields = ("case", "index", "channel")
    images = Pattern(options.images or "", fields)
    labels = Pattern(options.labels, fields[:2]) if options.labels else None
    if options.masks and labels is None:
        raise VolumeInvalid(
            "with --images, name the pattern of the masks too: --labels 'masks/{case}/{index}.png'"
        )
    found: dict[str, _Case] = {}
    left_out: dict[str, str] = {}
    marks: list[tuple[str, int, Path]] = []
    for path in files_in(folder):
        label = labels.match(path, folder) if labels else None
        image = images.match(path, folder)
        parts = label or image or {}
        index = index_of(parts.get("index", "0"))
        if not parts or index is None or path.suffix.lower() not in PICTURES:
            left_out[str(path)] = "its name fits no pattern, or it is no PNG or TIFF"
        elif label:
            marks.append((label["case"], index, path))
        else:
            case = found.setdefault(parts["case"], _Case())
            case.add(parts.get("channel", ""), index, path)
    for name, index, path in marks:
        if name in found:
            found[name].masks.add(index, path)
        else:
            left_out[str(path)] = "it is a mask without a picture of its case"
    return found, left_out


def _reader(
    name: str,
    case: _Case,
    channels: Sequence[str],
    choice: Choice,
    options: ReadOptions,
    notes: OurNotes,
) -> Callable[[], CaseVolume]:
    def read() -> CaseVolume:
        wanted = [channels[number] for number in choice.numbers] if channels else [""]
        indices = _checked(name, case, wanted)
        facts = notes.cases.get(name, {})
        stacks: list[ChannelStack] = []
        for channel in wanted:
            paths = [case.images[channel][index] for index in indices]
            found = stack_of(paths, _ONE if channels else choice)
            stacks += found
        known = choice.names
        stacks = [
            replace(stack, rescale=rescale_from(facts, channel, indices, name))
            for stack, channel in zip(stacks, _written(known, notes, len(stacks)), strict=True)
        ]
        first = [case.images[wanted[0]][index] for index in indices]
        said = gaps_in_words(indices, first[0].parent)
        marks = _masks(case, first, indices, stacks[0], notes) if options.masks else None
        without = (
            0 if marks is None or notes.classes else len(set(indices) - case.masks.first.keys())
        )
        if without:
            said += (f"{first[0].parent}: {without} slices have no mask: they are unlabelled",)
        return CaseVolume(
            tuple(stacks),
            classes=None if marks is None else marks.classes,
            geometry=geometry_from(facts, name),
            first_index=indices[0],
            indices=indices_or_first(indices),
            unlabelled=frozenset() if marks is None else marks.unlabelled,
            source={"kind": "pictures"},
            warnings=said + (() if marks is None else marks.warnings),
            left_out={str(path): _BY_INDEX for path in case.unnamed},
        )

    return read


def _written(names: Sequence[str], notes: OurNotes, count: int) -> Sequence[str]:
    """What an export called the channels: a single one has whatever name is asked for."""
    return notes.channels if notes.channels and len(notes.channels) == count == 1 else names


def _checked(name: str, case: _Case, wanted: Sequence[str]) -> list[int]:
    """The indices of a case. Raises ``VolumeInvalid`` where its pictures are not clear."""
    if case.doubled:
        one, other = case.doubled[0]
        raise VolumeInvalid(f"{one} and {other} have the same index: remove one of them")
    indices = sorted({index for pictures in case.images.values() for index in pictures})
    if not indices:
        raise VolumeInvalid(
            f"{case.unnamed[0]} has no index: {_BY_INDEX}; for other names, say their pattern with "
            "--images"
        )
    for channel in wanted:
        missing = [index for index in indices if index not in case.images.get(channel, {})]
        if missing:
            raise VolumeInvalid(
                f"case {name!r} has no picture {missing[0]} of channel {channel!r}: every slice "
                "needs all channels that are wanted"
            )
    return indices


def _masks(
    case: _Case, images: Sequence[Path], indices: Sequence[int], like: ChannelStack, notes: OurNotes
) -> LabelMap:
    if not case.masks.first and notes.classes is None:
        raise VolumeInvalid(
            f"{images[0].parent} has no masks: masks/CASE/{images[0].stem}.png is not there, nor "
            "is any other; add them, or import without masks"
        )
    paths = [case.masks.get(index) for index in indices]
    return masks_of(paths, images, like.pixels, notes.ignore)


LAYOUT: Layout = Pictures()
