"""COCO: a JSON file of annotations (run lengths or polygons) with its pictures beside it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.formats.case import CaseVolume
from app.formats.channels import Choice, choose, choose_of_pictures
from app.formats.coco_file import CocoImage, annotation_files, is_coco, read_set
from app.formats.coco_regions import region_of
from app.formats.described import our_notes, read_json
from app.formats.layout import CaseFiles, DataSet, Detected, Layout, ReadOptions, some
from app.formats.picture_notes import rescale_from
from app.formats.picture_stacks import gaps_in_words, indices_or_first, stack_of

_ONE = Choice(("image",), (0,), 1)


class Coco:
    """Categories are classes. Pictures of one folder, named by numbers, are slices of a case."""

    words = "COCO: annotations (*.json or annotations/*.json) with run lengths or polygons, images/"

    def detect(self, folder: Path) -> Detected | None:
        """By a JSON file with images, annotations and categories."""
        for path in annotation_files(folder):
            try:
                found = read_json(path)
            except VolumeInvalid:
                continue
            if is_coco(found):
                return Detected(f"COCO annotations of {len(found['images'])} images", 3)
        return None

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases in the order of the annotation files."""
        found = read_set(folder)
        notes = our_notes(folder)
        cases: dict[str, list[CocoImage]] = {}
        for image in found.images:
            cases.setdefault(image.case, []).append(image)
        some(cases, folder, "images in COCO annotations")
        several = max(len(image.files) for image in found.images)
        names = notes.channels or []
        if several > 1:
            channels = names if len(names) == several else [f"channel-{n}" for n in range(several)]
            choice = choose(channels, options.channels, folder)
        else:
            asked = options.channels or (tuple(names) if len(names) == 3 else ())
            channels, choice = [], choose_of_pictures(asked, folder)

        def reader(name: str, images: Sequence[CocoImage]) -> Callable[[], CaseVolume]:
            facts = notes.cases.get(name, {})
            numbers = found.numbers if options.masks else None
            return lambda: _read(name, images, numbers, choice, channels, facts, names)

        return DataSet(
            [
                CaseFiles(name.replace("/", "_"), reader(name, images))
                for name, images in cases.items()
            ],
            notes.classes
            if notes.classes and len(notes.classes) == len(found.classes)
            else found.classes,
            list(choice.names),
            _splits(cases),
            found.left_out,
        )


def _splits(cases: Mapping[str, Sequence[CocoImage]]) -> dict[str, Split] | None:
    found: dict[str, Split] = {}
    for name, images in cases.items():
        said = {image.split for image in images if image.split is not None}
        if len(said) > 1:
            raise VolumeInvalid(
                f"{images[0].where} puts pictures of the case {name!r} into several splits "
                f"({', '.join(sorted(said))}): a case is in one"
            )
        if said:
            found[name.replace("/", "_")] = said.pop()
    return found or None


def _read(
    name: str,
    images: Sequence[CocoImage],
    numbers: Mapping[int, int] | None,
    choice: Choice,
    channels: Sequence[str],
    facts: Mapping[str, object],
    written: Sequence[str],
) -> CaseVolume:
    images = sorted(images, key=lambda image: image.index)
    indices = [image.index for image in images]
    if len(set(indices)) < len(indices) or not 0 <= indices[0] <= indices[-1] < 1_000_000:
        raise VolumeInvalid(
            f"{images[0].where} lists pictures of the case {name!r} with the same index, or one "
            "that is none from 0 to 999999"
        )
    if channels:
        stacks = [
            stack
            for number in choice.numbers
            for stack in stack_of([_file(image, number) for image in images], _ONE)
        ]
    else:
        stacks = list(stack_of([_file(image, 0) for image in images], choice))
    ways = list(written) if len(written) == len(stacks) == 1 else list(choice.names)
    stacks = [
        type(stack)(stack.pixels, rescale_from(facts, channel, indices, name))
        for stack, channel in zip(stacks, ways, strict=True)
    ]
    shape = stacks[0].pixels.shape
    for image in images:
        if (image.height, image.width) != shape[1:]:
            raise VolumeInvalid(
                f"{image.files[0]} has {shape[2]} × {shape[1]} pixels, {image.where} says "
                f"{image.width} × {image.height}: its annotations would be drawn in wrong places"
            )
    warnings = list(gaps_in_words(indices, f"case {name}"))
    classes, unlabelled = None, frozenset[int]()
    if numbers is not None:
        classes = np.zeros(shape, dtype=np.uint8)
        unclear = {n for n, image in enumerate(images) if image.annotations is None}
        for n, image in enumerate(images):
            why = _draw(classes[n], image, numbers)
            if why:
                unclear.add(n)
                classes[n] = 0
                warnings.append(f"{image.files[0]}: {why}: it comes in without a mask")
        unlabelled = frozenset(unclear)
        crowds = sum(bool(a.get("iscrowd")) for i in images for a in i.annotations or ())
        if crowds:
            warnings.append(f"case {name}: {crowds} regions of crowds are taken as their class")
    return CaseVolume(
        tuple(stacks),
        classes=classes,
        first_index=indices[0],
        indices=indices_or_first(indices),
        unlabelled=unlabelled,
        source={"kind": "pictures"},
        warnings=tuple(warnings),
    )


def _file(image: CocoImage, number: int) -> Path:
    if number >= len(image.files):
        raise VolumeInvalid(f"{image.files[0]} has no channel {number}: {image.where} lists none")
    return image.files[number]


def _draw(plane: npt.NDArray[np.uint8], image: CocoImage, numbers: Mapping[int, int]) -> str | None:
    """Draw the annotations of a picture (H, W) in place; why it is not clear what they mean."""
    taken: npt.NDArray[np.bool_] = np.zeros(plane.shape, dtype=bool)
    for one in image.annotations or ():
        label = f"annotation {str(one.get('id'))[:20]}"
        try:
            number = numbers[int(one["category_id"])]
            region = region_of(one["segmentation"], *plane.shape)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            return f"{label} cannot be drawn, {why}"
        other = region & taken & (plane != number)
        if other.any():
            return (
                f"{label} overlaps with one of another class in {int(other.sum())} pixels, and a "
                "pixel has one class"
            )
        plane[region] = number
        taken |= region
    return None


LAYOUT: Layout = Coco()
