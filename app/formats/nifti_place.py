"""Where the voxels of a NIfTI file lie: by the first of sform, qform and spacing that is sound.

The report says so where it was not the first that the header names, or where they disagree.
"""

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
    warnings: list[str] = []
    scale = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    ways = {"sform": _sform(header), "qform": _qform(header), "spacing": _spacing(header)}
    codes = {way: int(header[f"{way}_code"]) for way in ("sform", "qform")}
    said = [way for way, code in codes.items() if code in KNOWN_CODES]
    warnings += [
        f"{path}: its {one} is of the kind {code}, which NIfTI does not have: it is not taken"
        for one, code in codes.items()
        if code and one not in said
    ]
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
