"""Volumes for tests: written with nibabel and SimpleITK, read through a layout."""

import struct
from pathlib import Path

import nibabel as nib
import numpy as np

from app.formats.case import CaseVolume
from app.formats.layout import DataSet, ReadOptions, find_layout
from app.formats.writing import to_nifti


def read(layout: str, folder: Path, *channels: str, masks: bool = False, **how) -> DataSet:
    return find_layout(layout).read(folder, ReadOptions(masks, channels, **how))


def read_only(layout: str, folder: Path, *channels: str, masks: bool = False, **how) -> CaseVolume:
    (case,) = read(layout, folder, *channels, masks=masks, **how).cases
    return case.read()


def save(path: Path, voxels, affine=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def patched(path: Path, offset: int, form: str, *values) -> Path:
    """Overwrite fields of an unpacked file's header."""
    body = bytearray(path.read_bytes())
    struct.pack_into("<" + form, body, offset, *values)
    path.write_bytes(body)
    return path


def back(volume: CaseVolume, channel: int = 0) -> np.ndarray:
    """A channel in the order of the file it came from."""
    stack = volume.channels[channel]
    values = np.stack([stack.rescale_of(n).values(p) for n, p in enumerate(stack.pixels)])
    return np.asarray(to_nifti(values, volume.geometry, volume.source).dataobj)
