"""What the header of a NIfTI file says, read with nibabel and judged before anything is set aside.

A header may say anything, be it by an error of the program that wrote it, be it by damage. What
leads to the wrong voxels is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from app.core.errors import VolumeInvalid

# Long enough for the header of either version.
HEADER_BYTES = 544
# Intent codes of CIFTI-2: grayordinates, which lie in no grid of voxels.
_CIFTI = range(3000, 3100)


@dataclass(frozen=True)
class NiftiHeader:
    """A header: ``header`` is nibabel's; ``single``: voxels are in the same file."""

    header: Any
    version: int
    single: bool


def parse_header(raw: bytes, path: Path) -> NiftiHeader:
    """The header in the first bytes of a file. Raises ``VolumeInvalid`` for what is none."""
    kind: Any
    for version, kind, length, magics in (
        (1, nib.Nifti1Header, 348, {344: (b"n+1\0", b"ni1\0")}),
        (2, nib.Nifti2Header, 540, {4: (b"n+2\0", b"ni2\0")}),
    ):
        for code, endianness in (("<", "little"), (">", "big")):
            if raw[:4] != length.to_bytes(4, endianness):  # type: ignore[arg-type]
                continue
            place, (single, pair) = next(iter(magics.items()))
            magic = raw[place : place + 4]
            if len(raw) < length or magic not in (single, pair):
                continue
            # Unchecked: nibabel would mend some fields in silence, and print about others.
            header = kind(raw[:length], code, check=False)
            return NiftiHeader(header, version, magic == single)
    if raw[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        raise VolumeInvalid(
            f"{path} is not a NIfTI file, but of the older Analyze format, which does not say "
            "which side is left: convert it to NIfTI with what is known of it"
        )
    raise VolumeInvalid(
        f"{path} is not a readable NIfTI file: it does not begin with a NIfTI header"
    )


def shape_of(found: NiftiHeader, path: Path) -> tuple[int, ...]:
    """The dimensions. Raises ``VolumeInvalid`` for those of no grid of voxels."""
    dim = [int(n) for n in found.header["dim"]]
    if not 1 <= dim[0] <= 7:
        raise VolumeInvalid(
            f"{path} has a wrong header: it says {dim[0]} dimensions, which are from 1 to 7"
        )
    if int(found.header["intent_code"]) in _CIFTI:
        raise VolumeInvalid(
            f"{path} holds grayordinates (CIFTI), which are no picture: import the volume that "
            "they were taken from"
        )
    try:
        shape = tuple(int(n) for n in found.header.get_data_shape())
    except Exception as error:  # nibabel's words about an odd header name no file
        raise VolumeInvalid(f"{path} has wrong dimensions in its header: {error}") from error
    if min(shape) < 1:
        raise VolumeInvalid(f"{path} has the shape {shape}: it holds no voxels, fix the file")
    return shape


def dtype_of(found: NiftiHeader, path: Path) -> np.dtype[Any]:
    """The type of the stored numbers. Raises ``VolumeInvalid`` for what is no grey or colour."""
    code = int(found.header["datatype"])
    try:
        dtype: np.dtype[Any] = np.dtype(found.header.get_data_dtype())
    except Exception as error:
        raise VolumeInvalid(
            f"{path} stores its voxels in a type of number that NIfTI does not have "
            f"(datatype {code}): write the file again with a known one"
        ) from error
    if dtype.names is None and dtype.kind == "c":
        raise VolumeInvalid(
            f"{path} holds complex numbers ({dtype}): write their magnitude into a file, and "
            "import that"
        )
    if dtype.names is None and dtype.kind not in "iuf":
        raise VolumeInvalid(
            f"{path} stores single bits or nothing (datatype {code}): write the file as uint8"
        )
    return dtype


def offset_of(found: NiftiHeader, path: Path) -> int:
    """Where the voxels begin in their file. Raises ``VolumeInvalid``."""
    offset = float(found.header["vox_offset"])
    first = (352 if found.version == 1 else 544) if found.single else 0
    # Programs differ in where voxels begin when this field is too small.
    if not (np.isfinite(offset) and offset >= first and offset == int(offset)):
        raise VolumeInvalid(
            f"{path} has a wrong header: its voxels are said to begin at byte {offset:g}, the "
            f"first that they can is {first}; write the file again"
        )
    return int(offset)


def scaling_of(found: NiftiHeader, path: Path) -> tuple[float, float]:
    """Slope and intercept from stored numbers to values. Raises ``VolumeInvalid``."""
    slope, inter = float(found.header["scl_slope"]), float(found.header["scl_inter"])
    # No slope, by the standard as 0 and by nibabel as NaN, is no scaling at all.
    if slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not np.isfinite([slope, inter]).all():
        raise VolumeInvalid(
            f"{path} has the slope {slope:g} and the intercept {inter:g}, which give no values: "
            "fix the file"
        )
    return slope, inter
