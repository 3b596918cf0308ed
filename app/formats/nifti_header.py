"""What the header of a NIfTI file says, read with nibabel and judged before anything is set aside.

A header may say anything, be it by an error of the program that wrote it, be it by damage. What
leads to the wrong voxels is refused; what places them is taken from the first of sform, qform and
spacing that is sound, and the report says so where it was not the first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.planes import Affine

# Long enough for the header of either version.
HEADER_BYTES = 544
# Intent codes of CIFTI-2: grayordinates, which lie in no grid of voxels.
_CIFTI = range(3000, 3100)
# Millimetres in a unit, by the code for lengths.
_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 1e-3}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
# Distances in mm between voxels, and from the origin, that a file about a body may say.
_SPACINGS, _FARTHEST = (1e-6, 1e5), 1e7
# A part of a voxel by which sform and qform may put it in different places without a word.
_APART = 0.5


@dataclass(frozen=True)
class NiftiHeader:
    """A header: ``header`` is nibabel's; ``single``: voxels are in the same file."""

    header: Any
    version: int
    single: bool


@dataclass(frozen=True)
class NiftiPlace:
    """Where the voxels lie: ``affine`` as the file has it, ``scale`` from its unit to mm.

    ``as_written``: the header places the voxels just there, in mm, so that its bits lead back.
    """

    affine: Affine
    scale: float
    as_written: bool
    warnings: tuple[str, ...]

    @property
    def millimetres(self) -> Affine:
        """(4, 4) from (i, j, k) to RAS in mm."""
        return np.diag([self.scale, self.scale, self.scale, 1.0]) @ self.affine


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


def place_of(found: NiftiHeader, path: Path) -> NiftiPlace:
    """Where the voxels lie. Raises ``VolumeInvalid`` where the header places them nowhere."""
    header, warnings = found.header, []
    scale = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    ways = {"sform": _sform(header), "qform": _qform(header), "spacing": _spacing(header)}
    said = [way for way, code in (("sform", "sform_code"), ("qform", "qform_code")) if header[code]]
    sound = {way: one for way, one in ways.items() if one is not None and _is_sound(one * scale)}
    way = next((way for way in (*said, "spacing") if way in sound), None)
    if way is None:
        raise VolumeInvalid(
            f"{path} has a wrong header: neither sform, qform nor the spacing put its voxels in "
            "places of their own; fix the file"
        )
    affine = sound[way]
    if said and way != said[0]:
        lost = " and its qform are" if len(said) == 2 and way == "spacing" else " is"
        taken = "its qform is taken" if way == "qform" else "only its spacing is taken"
        warnings.append(f"{path}: its {said[0]}{lost} singular or no numbers: {taken}")
    if way == "spacing":
        warnings.append(
            f"{path}: its header does not say where it lies, which side is left among it: the "
            "order of its voxels is taken as from right to left, back to front, feet to head"
        )
    if len(said) == 2 and all(one in sound for one in said):
        apart = np.abs(np.linalg.solve(affine, sound["qform"]) - np.eye(4))
        steps = np.array([*(max(n - 1, 1) for n in (*header.get_data_shape(), 1, 1)[:3]), 1.0])
        away = float((apart[:3] * steps).sum(axis=1).max())
        if away > _APART:
            warnings.append(
                f"{path}: its sform and its qform differ by up to {away:.3g} voxels: the sform is "
                "taken"
            )
    if scale != 1.0:
        spacing = np.linalg.norm(affine[:3, :3], axis=0) * scale
        unit = _UNIT_NAMES[int(header["xyzt_units"]) & 7]
        warnings.append(
            f"{path}: its lengths are in {unit}: its voxels are "
            f"{' × '.join(f'{one:.4g}' for one in spacing)} mm"
        )
    as_written = scale == 1.0 and (not said or way == said[0])
    return NiftiPlace(affine, scale, as_written, tuple(warnings))


def _is_sound(affine: Affine) -> bool:
    try:
        Geometry(affine)
    except InvalidInput:
        return False
    low, high = _SPACINGS
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(((low <= lengths) & (lengths <= high)).all()) and bool(
        (np.abs(affine[:3, 3]) <= _FARTHEST).all()
    )


def _sform(header: Any) -> Affine | None:
    affine = np.eye(4)
    # Damaged numbers may be of kinds that NumPy warns of; what is no number is found later.
    with np.errstate(invalid="ignore"):
        affine[:3] = [header["srow_x"], header["srow_y"], header["srow_z"]]
    return affine


def _qform(header: Any) -> Affine | None:
    zooms = np.asarray(header["pixdim"], dtype=np.float64)[1:4]
    if not (np.isfinite(zooms).all() and (zooms > 0).all()):
        return None
    own = header.copy()
    # By the standard, anything but −1 means 1.
    own["pixdim"][0] = -1 if own["pixdim"][0] == -1 else 1
    try:
        return np.asarray(own.get_qform(), dtype=np.float64)
    except Exception:  # a quaternion longer than 1 is no rotation
        return None


def _spacing(header: Any) -> Affine | None:
    zooms = np.asarray(header["pixdim"], dtype=np.float64)[1 : 1 + min(3, int(header["dim"][0]))]
    if not (np.isfinite(zooms).all() and (zooms > 0).all()):
        return None
    return np.asarray(header.get_base_affine(), dtype=np.float64)
