"""COCO: instances.json with masks as run lengths (RLE), images/CASE/INDEX.png beside it.

Each class that a slice shows is one annotation. Only slices that somebody has drawn are listed:
one without annotations would otherwise pass for one that shows nothing. The others are in
unlabelled.json.
"""

import json
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from app.formats.descriptions import SHORT_SPLIT, OwnDescription, rescale_of
from app.formats.pictures_out import write_pictures
from app.formats.writer import About, ExportedCase, OpenFormat, Reading, Target, Writer


class Coco:
    """Pictures, and the regions of each class as run lengths."""

    words = "COCO: instances.json with RLE, images/CASE/INDEX.png"
    images = True

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set."""
        return _Coco(target, about)


class _Coco:
    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        self._description = OwnDescription(about, "coco")
        self._sets: dict[str | None, _Instances] = {None: _Instances(about)}
        self._unlabelled: list[dict[str, Any]] = []
        self._next_image = 1

    def add(self, case: ExportedCase) -> Sequence[str]:
        files = write_pictures(case, self._target, self._about)
        images = [self._image(case, n, ways) for n, ways in enumerate(files)]
        # All of a case before any of it is noted: it may yet turn out to be damaged.
        regions = [_regions_of(reading, images) for reading in case.readings]
        for reading, found in zip(case.readings, regions, strict=True):
            kept = self._sets.setdefault(reading.reader, _Instances(self._about))
            kept.add([images[n] for n in reading.labelled], found)
        without = set(range(case.depth)) - set(case.labels.labelled)
        self._unlabelled += [images[n] for n in sorted(without)]
        self._description.add(case, {"rescale": rescale_of(case, self._about)})
        return ()

    def _image(self, case: ExportedCase, slice_: int, files: list[str]) -> dict[str, Any]:
        number, self._next_image = self._next_image, self._next_image + 1
        found: dict[str, Any] = {
            "id": number,
            "file_name": files[0],
            "height": case.size[0],
            "width": case.size[1],
            "case": case.name,
            "index": case.indices[slice_],
            "split": SHORT_SPLIT[case.split],
        }
        return found | ({"channels": files} if len(files) > 1 else {})

    def close(self) -> Sequence[str]:
        for reader, kept in self._sets.items():
            folder = () if reader is None else ("readings", reader)
            with self._target.path(*folder, "instances.json").open("w", encoding="utf-8") as file:
                kept.write(file)
        path = self._target.path("unlabelled.json")
        path.write_text(json.dumps({"images": self._unlabelled}), encoding="utf-8")
        self._description.write(self._target.path("sfumato.json"))
        return ()


class _Instances:
    """The images and annotations of one reader, or of the chosen labels."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._images: list[dict[str, Any]] = []
        # As text: run lengths of a large data set take far less room so.
        self._annotations: list[str] = []

    def add(self, images: list[dict[str, Any]], regions: list[dict[str, Any]]) -> None:
        self._images += images
        first = len(self._annotations) + 1
        numbered = ({"id": first + n} | region for n, region in enumerate(regions))
        self._annotations += [json.dumps(one) for one in numbered]

    def write(self, file: IO[str]) -> None:
        about = self._about
        head = {
            "info": {"description": about.project},
            "licenses": [],
            "categories": [
                {"id": n, "name": about.classes[n]} for n in range(1, len(about.classes))
            ],
            "images": self._images,
        }
        file.write(json.dumps(head, ensure_ascii=False)[:-1])
        file.write(', "annotations": [\n' + ",\n".join(self._annotations) + "\n]}\n")


def _regions_of(reading: Reading, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The region of each class on each slice that has a mask."""
    found: list[dict[str, Any]] = []
    for slice_ in reading.labelled:
        classes = reading.classes(slice_)
        found += [
            _region(images[slice_]["id"], category, classes == category)
            for category in np.unique(classes[classes > 0]).tolist()
        ]
    return found


def _region(image: int, category: int, inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    from pycocotools import mask

    rle = mask.encode(np.asfortranarray(inside, dtype=np.uint8))
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(mask.area(rle)),
        "bbox": [float(v) for v in mask.toBbox(rle)],
        "iscrowd": 0,
    }


WRITER: Writer = Coco()
