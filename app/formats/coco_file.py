"""Annotation files of COCO: categories as classes, and the annotations of each picture."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.described import checked_classes, read_json, splits_of
from app.formats.files import files_in
from app.formats.pictures import index_of

_PARTS = ("images", "annotations", "categories")
# What our own export lists apart: slices that nobody has drawn.
UNLABELLED = "unlabelled.json"
_BACKGROUND = "background"


@dataclass(frozen=True)
class CocoImage:
    """A picture that an annotation file lists, and what is drawn in it.

    ``files``: its channels; ``annotations``: as they stand; None where nobody has drawn.
    """

    files: tuple[Path, ...]
    case: str
    index: int
    height: int
    width: int
    where: Path
    split: Split | None = None
    annotations: list[dict[str, Any]] | None = None


@dataclass
class CocoSet:
    """All annotation files of a folder together. ``numbers``: class by the id of its category."""

    classes: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    images: list[CocoImage] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def annotation_files(folder: Path) -> list[Path]:
    """JSON files in the folder and in annotations/."""
    return [
        path
        for path in files_in(folder)
        if path.suffix.lower() == ".json"
        and path.parent in (folder, folder / "annotations")
        and path.name != UNLABELLED
    ]


def is_coco(found: Any) -> bool:
    """Whether a JSON file lists pictures, annotations and categories."""
    return isinstance(found, dict) and all(isinstance(found.get(part), list) for part in _PARTS)


def read_set(folder: Path) -> CocoSet:
    """What the annotation files of a folder say. Raises ``VolumeInvalid``."""
    pictures = _Pictures(folder)
    found = CocoSet()
    for path in annotation_files(folder):
        content = read_json(path)
        if not is_coco(content):
            continue
        try:
            _add(found, content, path, pictures, labelled=True)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise VolumeInvalid(f"{path} is not an annotation file of COCO: {error!r}") from error
    if not found.images:
        raise VolumeInvalid(
            f"there are no COCO annotations in {folder}: a JSON file with images, annotations and "
            "categories is expected there or in annotations/"
        )
    path = folder / UNLABELLED
    if path.is_file():
        content = read_json(path)
        try:
            _add(found, content, path, pictures, labelled=False)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise VolumeInvalid(f"{path} does not list images: {error!r}") from error
    listed = {file for image in found.images for file in image.files}
    for file in pictures.files:
        if file not in listed and file.suffix.lower() != ".json":
            found.left_out[str(file)] = "no annotation file lists it"
    return found


class _Pictures:
    """The files below a folder, to be found by what an annotation file calls them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = files_in(folder)
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            self._by_name.setdefault(path.name, []).append(path)

    def find(self, name: str, where: Path) -> Path:
        """The one file whose path ends so; where it is not there, where it should be."""
        wanted = Path(name).parts
        found = [
            p for p in self._by_name.get(Path(name).name, ()) if p.parts[-len(wanted) :] == wanted
        ]
        exact = [p for p in found if p in (self._folder / name, self._folder / "images" / name)]
        found = exact or found
        if len(found) > 1:
            raise VolumeInvalid(
                f"{where} lists {name!r}, which is {found[0]} as well as {found[1]}: write the "
                "folder into its name"
            )
        return found[0] if found else self._folder / "images" / Path(name).name


def _add(found: CocoSet, content: Any, path: Path, pictures: _Pictures, *, labelled: bool) -> None:
    if labelled:
        _add_categories(found, content["categories"], path)
    drawn: dict[int, list[dict[str, Any]]] = {}
    for annotation in content["annotations"] if labelled else ():
        drawn.setdefault(int(annotation["image_id"]), []).append(dict(annotation))
    known = {image.files: image.where for image in found.images}
    for one in content["images"]:
        image = _image(one, path, pictures)
        if image.files in known:
            raise VolumeInvalid(
                f"{path} and {known[image.files]} both list {image.files[0]}: leave one of them out"
            )
        known[image.files] = path
        annotations = drawn.pop(int(one["id"]), []) if labelled else None
        found.images.append(CocoImage(**{**vars(image), "annotations": annotations}))
    if drawn:
        raise VolumeInvalid(
            f"{path} has annotations of the image {next(iter(drawn))}, which it does not list"
        )


def _add_categories(found: CocoSet, categories: Iterable[Any], path: Path) -> None:
    """Classes in the order of the categories' ids; an own category of the background is class 0."""
    named = {int(one["id"]): str(one["name"]) for one in categories}
    background = [n for n, name in named.items() if name.casefold() == _BACKGROUND]
    others = [n for n in sorted(named) if n not in background]
    classes = checked_classes([_BACKGROUND, *(named[n] for n in others)], path)
    numbers = {n: place for place, n in enumerate(others, 1)} | dict.fromkeys(background, 0)
    if found.classes and (found.classes, found.numbers) != (classes, numbers):
        raise VolumeInvalid(f"{path} has other categories than the annotation file before it")
    found.classes, found.numbers = classes, numbers


def _image(one: Any, path: Path, pictures: _Pictures) -> CocoImage:
    name = str(one["file_name"])
    names = [str(n) for n in one.get("channels") or [name]]
    parts = Path(name).with_suffix("").parts
    parts = parts[1:] if len(parts) > 1 and parts[0] == "images" else parts
    index = index_of(parts[-1]) if len(parts) > 1 else None
    if "case" in one and "index" in one:
        case, number = str(one["case"]), int(one["index"])
    elif index is not None:
        case, number = "/".join(parts[:-1]), index
    else:
        case, number = "/".join(parts), 0
    split = one.get("split")
    return CocoImage(
        files=tuple(pictures.find(n, path) for n in names),
        case=case,
        index=number,
        height=int(one["height"]),
        width=int(one["width"]),
        where=path,
        split=splits_of({case: split}, path)[case] if split else _split_by_name(path),
    )


def _split_by_name(path: Path) -> Split | None:
    """As instances_val2017.json has it."""
    name = path.stem.casefold()
    for word, split in (("train", Split.POOL), ("val", Split.VALIDATION), ("test", Split.TEST)):
        if word in name:
            return split
    return None
