"""Folders of volumes, one or several files a case: by images/ and labels/, or by patterns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.channels import Choice, choose
from app.formats.described import OURS, our_notes
from app.formats.files import files_in
from app.formats.label_files import LabelFiles
from app.formats.layout import CaseFiles, DataSet, Detected, ReadOptions, some
from app.formats.nifti_cases import choose_of_files, read_nifti
from app.formats.patterns import Pattern
from app.formats.volumes import ITK, NIFTI, beside, ending_of, stem, volumes_among

# Endings of files that hold the voxels of a .mhd or .nhdr.
_VOXELS = re.compile(r"\.(raw|zraw|raw\.gz|raw\.bz2)$", re.IGNORECASE)
_FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"))


@dataclass
class _Found:
    """The files of a folder: images by case and channel, label maps by case.

    A case is named by the way to it, so that a/scan and a_scan stay apart.
    """

    images: dict[str, dict[str, Path]] = field(default_factory=dict)
    labels: LabelFiles[str] = field(default_factory=LabelFiles)
    channels: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class VolumeFolder:
    """Each file is a case, whose fourth dimension holds its channels.

    With a pattern for images that has ``{channel}``, the files of a case are its channels.
    """

    words: str
    kind: str
    endings: tuple[str, ...]

    def detect(self, folder: Path) -> Detected | None:
        """By the endings of files."""
        # Images of other formats are called .img too: a pair is known by its header.
        asked = [ending for ending in self.endings if ".img" not in ending]
        files = [path for path in files_in(folder) if ending_of(path) in asked]
        if not files:
            return None
        words = f"{len(files)} {self.kind} files"
        if (folder / OURS).is_file():
            return Detected(f"{words} as an export of ours writes them", 3)
        for images, labels in _FOLDERS:
            if any((folder / images) in path.parents for path in files):
                return Detected(f"{words} with {images}/ and {labels}/", 2)
        return Detected(words, 1)

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The files by name."""
        notes = our_notes(folder)
        paths = files_in(folder)
        if options.images:
            found = _by_pattern(folder, paths, options, self.endings)
        else:
            found = _by_folder(folder, paths, options, self.endings)
        some(found.images, folder, f"{self.kind} files{_of(options)}")
        choice = _choice(found, options, folder)
        cases = [
            CaseFiles(
                _flat(name),
                lambda name=name, files=files: read_nifti(  # type: ignore[misc]
                    _wanted(name, files, found.channels, choice),
                    _labels(name, files, found.labels, folder) if options.masks else None,
                    _own(choice) if found.channels else choice,
                    options,
                    notes.ignore,
                    notes.cases.get(_flat(name)),
                ),
            )
            for name, files in found.images.items()
        ]
        return DataSet(
            cases,
            notes.classes,
            list(choice.names),
            notes.splits or None,
            found.left_out,
        )


def _by_folder(
    folder: Path, paths: Sequence[Path], options: ReadOptions, endings: Sequence[str]
) -> _Found:
    """Images in images/, or anywhere but in labels/; label maps of the same names in labels/."""
    inside = (one for one in _FOLDERS if (folder / one[0]).is_dir())
    images, labels = next(inside, ("", "labels"))
    top, below = folder / images, folder / labels
    maps = Pattern(options.labels, ("case",)) if options.labels else None
    found = _Found()
    volumes = set(volumes_among(paths, endings))
    for path in paths:
        match = maps.match(path, folder) if maps else None
        if match:
            found.labels.add(match["case"], path)
        elif below in path.parents:
            if ending_of(path) and not maps:
                found.labels.add(_name(path, below), path)
        elif path in volumes and (top in path.parents or not images):
            name = _name(path, top)
            if name in found.images:
                first = found.images[name][""]
                found.left_out[str(path)] = f"{first.name} of the same name is taken for the case"
            else:
                found.images[name] = {"": path}
        elif path.name != OURS and not _is_half(path):
            found.left_out[str(path)] = _why_left(path, volumes, images)
    for name, path in found.labels.first.items() if options.masks else ():
        if name not in found.images:
            found.left_out[str(path)] = "it is a label map without an image of its name"
    return found


def _by_pattern(
    folder: Path, paths: Sequence[Path], options: ReadOptions, endings: Sequence[str]
) -> _Found:
    images = Pattern(options.images or "", ("case", "channel"))
    labels = Pattern(options.labels, ("case",)) if options.labels else None
    if options.masks and labels is None:
        raise VolumeInvalid(
            "with --images, name the pattern of the label maps too: --labels 'labels/{case}.nii.gz'"
        )
    found = _Found()
    for path in paths:
        label = labels.match(path, folder) if labels else None
        image = images.match(path, folder)
        if label:
            found.labels.add(label["case"], path)
        elif image and ending_of(path) in (*endings, *ITK, *NIFTI):
            files = found.images.setdefault(image["case"], {})
            channel = image.get("channel", "")
            if channel in files:
                found.left_out[str(path)] = f"{files[channel].name} is taken for the same case"
            files.setdefault(channel, path)
        elif path.name != OURS and not _is_half(path):
            found.left_out[str(path)] = "its name fits no pattern"
    if "channel" in images.fields:
        names = {channel for files in found.images.values() for channel in files}
        found.channels = sorted(names)
    return found


def _choice(found: _Found, options: ReadOptions, folder: Path) -> Choice:
    if found.channels:
        return choose(found.channels, options.channels, folder)
    files = [next(iter(files.values())) for files in found.images.values()]
    return choose_of_files(files, options.channels, folder)


def _wanted(
    name: str, files: Mapping[str, Path], channels: Sequence[str], choice: Choice
) -> list[Path]:
    """The files of a case in the order of the channels. Raises ``VolumeInvalid``."""
    wanted = [channels[number] for number in choice.numbers] if channels else list(files)
    missing = [channel for channel in wanted if channel not in files]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no {', '.join(missing)}: it has {', '.join(files)}; name channels "
            "that every case has with --channel"
        )
    return [files[channel] for channel in wanted]


def _own(choice: Choice) -> Choice:
    """All volumes of the files that were picked."""
    count = len(choice.names)
    return Choice(choice.names, tuple(range(count)), count)


def _labels(name: str, files: Mapping[str, Path], labels: LabelFiles[str], folder: Path) -> Path:
    image = next(iter(files.values()))
    found = labels.get(name)
    if found is None:
        raise VolumeInvalid(
            f"{image} has no label map: {folder} has none for the case {name!r}; add it, or import "
            "without masks"
        )
    return found


def _name(path: Path, folder: Path) -> str:
    """The way from a folder to a file, without its ending."""
    return path.with_name(stem(path)).relative_to(folder).as_posix()


def _flat(name: str) -> str:
    return name.replace("/", "_")


def _is_half(path: Path) -> bool:
    """Whether a file holds the voxels of a header beside it, with which it comes in."""
    if ending_of(path) in (".img", ".img.gz"):
        return beside(path.parent, stem(path), (".hdr", ".hdr.gz")) is not None
    name = _VOXELS.sub("", path.name)
    return name != path.name and beside(path.parent, name, (".mhd", ".nhdr")) is not None


def _why_left(path: Path, volumes: set[Path], images: str) -> str:
    if path in volumes:
        return f"it lies beside {images}/, where the images are"
    return "it is no volume of this layout"


def _of(options: ReadOptions) -> str:
    return f" that fit {options.images}" if options.images else ""
