"""NIfTI files, single or a pair of header and image, packed or not, as volumes."""

import gzip
import io
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import nibabel as nib
import numpy as np

from app.core.errors import VolumeInvalid
from app.formats.nifti_header import (
    HEADER_BYTES,
    NiftiHeader,
    dtype_of,
    offset_of,
    parse_header,
    scaling_of,
    shape_of,
)
from app.formats.nifti_place import KNOWN_CODES, place_of
from app.formats.volume_file import (
    FileVoxels,
    VolumeFile,
    Voxels,
    check_bytes,
    checked_numbers,
    volumes_of,
)

# What places the voxels: kept as it stands, so that the file can be written with the same bits.
PLACE = (
    *("qform_code", "sform_code", "xyzt_units", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
_GZIP = b"\x1f\x8b"
# How much behind the voxels is read, to see that a packed file is whole.
_BEHIND, _MOST_BEHIND = 2**20, 64


def open_nifti(path: Path) -> VolumeFile:
    """Read a header. Raises ``VolumeInvalid``, naming the file, for what cannot be shown."""
    path = header_of(path)
    found = parse_header(_first_bytes(path), path)
    shape = shape_of(found, path)
    dtype = dtype_of(found, path)
    voxels = path if found.single else _voxels_of(path)
    offset = offset_of(found, path)
    packed = _is_packed(voxels)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    check_bytes(voxels, needed, _size(voxels) - (0 if packed else offset), packed)
    place = place_of(found, path)
    more = 0 if packed else _size(voxels) - offset - needed
    behind = (f"{voxels}: it holds {more} bytes more than its header says",) if more else ()
    colour = dtype.names is not None
    return VolumeFile(
        path=path,
        shape=shape,
        volumes=volumes_of(shape, path, colour),
        colour=colour,
        affine=place.millimetres,
        load=partial(_load, found, path, voxels),
        kept={
            "kind": "nifti",
            "version": found.version,
            "affine": place.millimetres.tolist(),
            **(_bits(found.header) if place.as_written else {}),
        },
        warnings=(*place.warnings, *behind),
    )


def header_of(path: Path) -> Path:
    """The file that holds the header: of a pair, the one that ends in .hdr."""
    return _beside(path, ".img", ".hdr") or path


def _voxels_of(path: Path) -> Path:
    found = _beside(path, ".hdr", ".img")
    if found is None:
        raise VolumeInvalid(
            f"{path} is the header of a pair of files, but its voxels are not beside it: copy the "
            "file of the same name that ends in .img too"
        )
    return found


def _beside(path: Path, own: str, other: str) -> Path | None:
    """The other file of a pair; whatever the case of the endings, and packed or not."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    if not name.lower().endswith(own):
        return None
    stem = name[: -len(own)]
    for ending in (other, other.upper()):
        for packed in ("", ".gz", ".GZ"):
            found = path.with_name(stem + ending + packed)
            if found.is_file():
                return found
    return None


def _bits(header: Any) -> dict[str, Any]:
    place = {name: header[name].tolist() for name in PLACE}
    place["pixdim"] = header["pixdim"][:4].tolist()
    for code in ("qform_code", "sform_code"):
        # nibabel takes an unknown one for none, as we do.
        place[code] = place[code] if place[code] in KNOWN_CODES else 0
    # What is no number cannot be kept as JSON, and nobody would miss it.
    finite = all(np.isfinite(value).all() for value in place.values())
    return {"place": place} if finite else {}


def _load(found: NiftiHeader, path: Path, voxels: Path) -> FileVoxels:
    shape, dtype = shape_of(found, path), dtype_of(found, path)
    raw = _read(voxels, shape, dtype, offset_of(found, path))
    slope, intercept = scaling_of(found, path)
    if raw.dtype.names is not None:
        raw, slope, intercept = _colours(raw, path), 1.0, 0.0
    elif raw.dtype.kind == "f" and (slope, intercept) != (1.0, 0.0):
        # What is stored as a float is scaled as nibabel does it, in whatever type that is.
        with np.errstate(over="ignore", invalid="ignore"):
            raw = nib.volumeutils.apply_read_scaling(raw, np.float64(slope), np.float64(intercept))
        slope, intercept = 1.0, 0.0
    raw = checked_numbers(raw, path)
    plain = (slope, intercept) == (1.0, 0.0)
    size = (*shape, 1)[:3]
    numbers = raw.reshape((*size, -1), order="F")
    return FileVoxels(
        numbers, slope, intercept, raw.dtype.newbyteorder("=") if plain else np.dtype(np.float64)
    )


def _read(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> Voxels:
    try:
        with _opened(path) as stream:
            raw = nib.volumeutils.array_from_file(
                shape, dtype, cast("io.IOBase", stream), offset, mmap=False
            )
            # The checksum of a packed file comes at its end.
            behind = (stream.read(_BEHIND) for _ in range(_MOST_BEHIND))
            if _is_packed(path) and all(behind):
                raise VolumeInvalid(
                    f"{path} holds far more than its header says, {_MOST_BEHIND} MiB behind its "
                    "voxels and on: copy the file again, or write it anew"
                )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise VolumeInvalid(
            f"{path} is cut off or damaged, its voxels cannot be read: {error}; copy the file again"
        ) from error
    return raw


def _colours(raw: Voxels, path: Path) -> Voxels:
    names = raw.dtype.names or ()
    if "A" in names and int(raw["A"].min()) < 255:
        raise VolumeInvalid(f"{path} has transparent voxels: write it as RGB without alpha")
    return np.stack([raw[name] for name in ("R", "G", "B")], axis=-1)


def _first_bytes(path: Path) -> bytes:
    size = _size(path)
    if not size:
        raise VolumeInvalid(f"{path} is empty: it has 0 bytes, copy the file again")
    try:
        with _opened(path) as stream:
            return stream.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise VolumeInvalid(
            f"{path} is cut off or damaged, and not a readable NIfTI file: {error}"
        ) from error


def _opened(path: Path) -> IO[bytes]:
    """What a file holds, unpacked; what is packed shows in its bytes, not in its name."""
    if _is_packed(path):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _is_packed(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(2) == _GZIP
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except OSError as error:
        raise VolumeInvalid(f"{path} cannot be read: {error}") from error
