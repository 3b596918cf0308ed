"""Good bodies of every kind that the interface takes, to be damaged."""

import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

from tests.conftest import mask, picture, pixels_of, png_of
from tests.unit.dicom_files import numbered, series

Files = dict[str, bytes]
VOXELS = np.arange(8 * 9 * 5, dtype=np.int16).reshape(8, 9, 5)


@cache
def pictures() -> tuple[bytes, ...]:
    """PNG and TIFF that slices are made of."""
    grey, wide = pixels_of(picture(bits=8)), pixels_of(picture())
    colours = np.stack([grey, grey, grey], axis=-1)
    palette = Image.fromarray(grey).convert("P")
    return (
        picture(),
        picture(bits=8),
        png_of(colours),
        _saved(palette, "PNG"),
        _tiff(wide),
        _tiff(wide, compression="zlib", predictor=True),
        _tiff(grey, tile=(16, 16), compression="lzw"),
        _tiff(wide, bigtiff=True),
        _tiff(wide.astype(np.float32)),
        _tiff(grey, compression="jpeg"),
        _tiff(wide, compression="jpeg2000"),
        _tiff(colours, photometric="rgb"),
        _tiff(wide, byteorder=">", rowsperstrip=5),
    )


@cache
def masks() -> tuple[bytes, ...]:
    """PNG and TIFF of class indices."""
    drawn = pixels_of(mask())
    palette = Image.fromarray(drawn).convert("P")
    return (
        mask(),
        _saved(palette, "PNG"),
        _saved(Image.fromarray(drawn * 255).convert("1"), "PNG"),
        _tiff(drawn, compression="packbits"),
        _tiff(drawn, compression="zlib"),
        _tiff(drawn.astype(np.float64)),
    )


@cache
def cases() -> dict[str, Files]:
    """Files of one case by the name of a layout, in a folder of their own."""
    with tempfile.TemporaryDirectory() as name:
        return _cases(Path(name))


def _cases(folder: Path) -> dict[str, Files]:
    for name in ("a.nii", "b.nii.gz", "c.img"):
        kind = nib.Nifti1Pair if name.endswith(".img") else nib.Nifti1Image
        (folder / "nifti").mkdir(exist_ok=True)
        nib.save(kind(VOXELS, np.diag([0.5, 0.5, 3, 1])), folder / "nifti" / name)
    (folder / "nrrd").mkdir()
    for name in ("a.nrrd", "b.mha", "c.mhd"):
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), folder / "nrrd" / name, name != "c.mhd")
    series(folder / "dicom", numbered())
    series(folder / "another series", numbered())
    return {one.name: _files(one) for one in folder.iterdir()}


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pictures_of_a_case() -> Files:
    return {f"{n}.png": picture(seed=n) for n in range(3)}


def nnunet(case: bytes) -> Files:
    """A data set as nnU-Net wants it, of one case's packed NIfTI."""
    said = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}}
    said |= {"numTraining": 1, "file_ending": ".nii.gz"}
    return {"dataset.json": json.dumps(said).encode(), "imagesTr/good_0000.nii.gz": case}


def packed(files: Files, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def _tiff(pixels: np.ndarray, bigtiff: bool = False, byteorder: str = "<", **how) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=bigtiff, byteorder=byteorder) as writer:
        writer.write(pixels, **({"photometric": "minisblack"} | how))
    return buffer.getvalue()


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()
