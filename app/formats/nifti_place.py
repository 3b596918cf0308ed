"""Where the voxels of a NIfTI file lie: by the first of sform, qform and spacing that is sound.

The report says so where it was not the first that the header names, or where they disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.nifti_header import NiftiHeader
from app.formats.planes import Affine

# What an affine may be said to lead to; 0 says that there is none.
KNOWN_CODES = range(1, 6)
# Millimetres in a unit, by the code for lengths.
_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 1e-3}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
# Distances in mm between voxels, and from the origin, that a file about a body may say.
_SPACINGS, _FARTHEST = (1e-6, 1e5), 1e7
# A part of a voxel by which sform and qform may put it in different places without a word.
_APART = 0.5


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


# Damaged numbers may be of kinds that NumPy warns of; what is no number is found all the same.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def place_of(found: NiftiHeader, path: Path) -> NiftiPlace:
    """Where the voxels lie. Raises ``VolumeInvalid`` where the header places them nowhere."""
    header = found.header
    scale = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    codes = {way: int(header[f"{way}_code"]) for way in ("sform", "qform")}
    said = [way for way, code in codes.items() if code in KNOWN_CODES]
    ways = {way: _WAYS[way](header) for way in said or ["spacing"]}
    if said and not any(_is_sound(one, scale) for one in ways.values()):
        ways["spacing"] = _spacing(header)
    sound = {w: one for w, one in ways.items() if one is not None and _is_sound(one, scale)}
    way = next(iter(sound), None)
    if way is None:
        raise VolumeInvalid(
            f"{path} has a wrong header: neither sform, qform nor the spacing put its voxels in "
            "places of their own; fix the file"
        )
    said_of = [
        f"its {one} is of the kind {code}, which NIfTI does not have: it is not taken"
        for one, code in codes.items()
        if code and one not in said
    ]
    said_of += _of_ways(said, way)
    if len(said) == 2 and len(sound) == 2:
        said_of += _of_difference(sound["sform"], sound["qform"], header.get_data_shape())
    if scale != 1.0:
        said_of.append(_of_unit(int(header["xyzt_units"]) & 7, sound[way] * scale))
    as_written = scale == 1.0 and (not said or way == said[0])
    return NiftiPlace(sound[way], scale, as_written, tuple(f"{path}: {one}" for one in said_of))


def _of_ways(said: Sequence[str], taken: str) -> list[str]:
    """What to report where the header's first way was not taken."""
    found = []
    if said and taken != said[0]:
        lost = f"its {' and its '.join(said[:1] if taken == 'qform' else said)}"
        verb = "are" if " and " in lost else "is"
        only = "its qform is taken" if taken == "qform" else "only its spacing is taken"
        found.append(f"{lost} {verb} singular or no numbers: {only}")
    if taken == "spacing":
        found.append(
            "its header does not say where it lies, which side is left among it: the order of its "
            "voxels is taken as from right to left, back to front, feet to head"
        )
    return found


def _of_difference(sform: Affine, qform: Affine, shape: Sequence[int]) -> list[str]:
    apart = np.abs(np.linalg.solve(sform, qform) - np.eye(4))
    steps = np.array([*(max(n - 1, 1) for n in (*shape, 1, 1)[:3]), 1.0])
    away = float((apart[:3] * steps).sum(axis=1).max())
    if away <= _APART:
        return []
    return [f"its sform and its qform differ by up to {away:.3g} voxels: the sform is taken"]


def _of_unit(code: int, affine: Affine) -> str:
    spacing = " × ".join(f"{one:.4g}" for one in np.linalg.norm(affine[:3, :3], axis=0))
    return f"its lengths are in {_UNIT_NAMES[code]}: its voxels are {spacing} mm"


def _is_sound(affine: Affine | None, scale: float) -> bool:
    if affine is None:
        return False
    affine = affine * scale
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


_WAYS: dict[str, Callable[[Any], Affine | None]] = {
    "sform": _sform,
    "qform": _qform,
    "spacing": _spacing,
}
