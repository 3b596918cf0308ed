"""How data sets lie in folders: which files make a case, and what the classes are called."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels, decode_upload
from app.formats.dicom import read_series
from app.formats.volumes import CaseVolume, read_nifti

_NIFTI = (".nii.gz", ".nii")
_PICTURES = (".png", ".tif", ".tiff")
_LARGEST_PICTURE = 2**30


@dataclass(frozen=True)
class CaseFiles:
    """One case: its name, and how it is read. ``read`` raises ``VolumeInvalid``."""

    name: str
    read: Callable[[], CaseVolume]


@dataclass(frozen=True)
class DataSet:
    """The cases of a folder, and the names of its classes where it says them."""

    cases: list[CaseFiles]
    classes: list[str] | None


def msd(folder: Path, with_masks: bool, channel: int | None = None) -> DataSet:
    """A task of the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/."""
    description = folder / "dataset.json"
    try:
        found = json.loads(description.read_text())
        labels = {int(index): str(name) for index, name in found["labels"].items()}
        pairs = [(folder / pair["image"], folder / pair["label"]) for pair in found["training"]]
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{description} is not there: is this a Decathlon task?") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VolumeInvalid(f"{description} is not a Decathlon description: {error!r}") from error
    if sorted(labels) != list(range(len(labels))):
        raise VolumeInvalid(f"{description} names the labels {sorted(labels)}, with a gap")
    root = folder.resolve()
    for path in (path for pair in pairs for path in pair):
        if not path.resolve().is_relative_to(root):
            raise VolumeInvalid(f"{description} names {path}, which lies outside of {folder}")
    cases = [_nifti_case(image, mask if with_masks else None, channel) for image, mask in pairs]
    return DataSet(cases, [labels[index] for index in range(len(labels))])


def nifti(folder: Path, with_masks: bool, channel: int | None = None) -> DataSet:
    """images/NAME.nii.gz with labels/NAME.nii.gz; or, without masks, NIfTI files in the folder."""
    images = folder / "images" if (folder / "images").is_dir() else folder
    labels = folder / "labels"
    cases = [
        _nifti_case(path, labels / path.name if with_masks else None, channel)
        for path in sorted(images.iterdir() if images.is_dir() else [])
        if path.name.endswith(_NIFTI)
    ]
    return DataSet(_some(cases, folder, "NIfTI files"), None)


def brats(folder: Path, with_masks: bool, channel: int | None = None) -> DataSet:
    """BraTS 2019: CASE/CASE_flair.nii.gz with CASE_seg.nii.gz; the target is the tumour core.

    The core is the necrotic and non-enhancing (1) with the enhancing tumour (4), as in the
    paper; oedema (2) counts as background.
    """

    def case(path: Path) -> CaseFiles:
        segmentation = path.with_name(path.name.replace("_flair", "_seg"))

        def read() -> CaseVolume:
            volume = read_nifti(path, segmentation if with_masks else None, channel)
            if volume.classes is None:
                return volume
            core = np.isin(volume.classes, (1, 4)).astype(np.uint8)
            return CaseVolume(volume.image, core, volume.source)

        return CaseFiles(path.parent.name, read)

    found = sorted(p for p in folder.glob("**/*_flair.nii*") if p.name.endswith(_NIFTI))
    cases = [case(path) for path in found]
    return DataSet(_some(cases, folder, "*_flair.nii.gz files"), ["background", "tumour core"])


def dicom(folder: Path, with_masks: bool, channel: int | None = None) -> DataSet:
    """One folder a series, named after the case. Masks of DICOM are not read yet."""
    if with_masks:
        raise VolumeInvalid("masks cannot be imported from DICOM: import the images alone")
    folders = sorted({path.parent for path in folder.rglob("*") if path.is_file()})
    cases = [CaseFiles(f.name, lambda f=f: read_series(f)) for f in folders]  # type: ignore[misc]
    return DataSet(_some(cases, folder, "DICOM series"), None)


def png(folder: Path, with_masks: bool, channel: int | None = None) -> DataSet:
    """images/CASE/INDEX.png (or .tif) with masks/CASE/INDEX.png of class indices."""
    images = folder / "images"
    cases = [
        CaseFiles(f.name, lambda f=f: _picture_case(f, folder, with_masks))  # type: ignore[misc]
        for f in sorted(images.iterdir() if images.is_dir() else [])
        if f.is_dir()
    ]
    return DataSet(_some(cases, images, "case folders"), None)


LAYOUTS: dict[str, Callable[[Path, bool, int | None], DataSet]] = {
    "msd": msd,
    "brats": brats,
    "nifti": nifti,
    "dicom": dicom,
    "png": png,
}


def _nifti_case(image: Path, labels: Path | None, channel: int | None) -> CaseFiles:
    name = image.name
    for suffix in _NIFTI:
        name = name.removesuffix(suffix)
    return CaseFiles(name, lambda: read_nifti(image, labels, channel))


def _picture_case(case: Path, folder: Path, with_masks: bool) -> CaseVolume:
    paths = [p for p in case.iterdir() if p.suffix.lower() in _PICTURES]
    if not all(path.stem.isdigit() for path in paths) or not paths:
        raise VolumeInvalid(f"{case} must hold pictures named by their index, such as 012.png")
    paths.sort(key=lambda path: int(path.stem))
    if [int(path.stem) for path in paths] != list(
        range(int(paths[0].stem), int(paths[0].stem) + len(paths))
    ):
        raise VolumeInvalid(f"{case} has gaps between the indices of its pictures")
    masks = [folder / "masks" / case.name / f"{path.stem}.png" for path in paths]
    image = _stack(paths)
    classes = _stack(masks) if with_masks else None
    if classes is not None and classes.shape != image.shape:
        raise VolumeInvalid(
            f"the masks of {case} have the shape {classes.shape}, not {image.shape}"
        )
    return CaseVolume(image, classes, {"first_index": int(paths[0].stem)})


def _stack(paths: list[Path]) -> Pixels:
    pictures = [_picture(path) for path in paths]
    if len({picture.shape for picture in pictures}) > 1:
        raise VolumeInvalid(f"the pictures in {paths[0].parent} differ in size")
    return np.stack(pictures)  # type: ignore[return-value]  # NumPy forgets the type of a union


def _picture(path: Path) -> Pixels:
    try:
        return decode_upload(path.read_bytes(), _LARGEST_PICTURE)
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except SfumatoError as error:
        raise VolumeInvalid(f"{path}: {error}") from error


def _some(cases: list[CaseFiles], folder: Path, what: str) -> list[CaseFiles]:
    if not cases:
        raise VolumeInvalid(f"there are no {what} in {folder}")
    return cases
