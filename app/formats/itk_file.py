"""NRRD and MetaImage files as volumes, read by SimpleITK.

SimpleITK puts every image into DICOM's space (left, back, head) and says nothing of what the file
left open, so a few fields of the header are looked at here first.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.planes import Affine
from app.formats.volume_file import (
    FileVoxels,
    VolumeFile,
    check_bytes,
    checked_numbers,
    volumes_of,
)

NRRD, META = (".nrrd", ".nhdr"), (".mha", ".mhd")
# SimpleITK's readers; fields by which a file says where it lies; those that name another file.
_READERS = {**dict.fromkeys(NRRD, "NrrdImageIO"), **dict.fromkeys(META, "MetaImageIO")}
_PLACED = {
    "NrrdImageIO": {"space"},
    "MetaImageIO": {"transformmatrix", "rotation", "orientation", "offset", "position", "origin"},
}
_ELSEWHERE = {"NrrdImageIO": ("data file", "datafile"), "MetaImageIO": ("elementdatafile",)}
_HEADER_BYTES = 2**16
_FIELD = re.compile(rb"^\s*([A-Za-z][A-Za-z _]*?)\s*(?::=?|=)\s*(.*?)\s*$", re.MULTILINE)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def open_itk(path: Path) -> VolumeFile:
    """Read a header. Raises ``VolumeInvalid``, naming the file, for what cannot be shown."""
    sitk = _itk(path)
    image_io = _READERS[path.suffix.lower()]
    fields = _fields(path)
    voxels = _voxels_of(path, fields, image_io)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        shape = tuple(int(n) for n in reader.GetSize())
        components = int(reader.GetNumberOfComponents())
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
        affine = _affine(reader)
    except RuntimeError as error:
        raise VolumeInvalid(f"{path} has a header that cannot be read: {_why(error)}") from error
    if components > 1:
        if len(shape) > 3:
            raise VolumeInvalid(
                f"{path} has {components} numbers a voxel and the shape {shape}: write each "
                "volume into a file of its own"
            )
        shape = (*(*shape, 1)[:3], components)
    if "complex" in kind or "label" in kind:
        raise VolumeInvalid(f"{path} holds {kind}: one grey value a voxel is expected")
    packed = b"gz" in fields.get("encoding", b"") or b"bz" in fields.get("encoding", b"")
    packed |= fields.get("compresseddata", b"").lower() == b"true"
    needed = int(np.prod(shape, dtype=object)) * _bytes_of(kind)
    check_bytes(voxels, needed, voxels.stat().st_size, packed)
    try:
        Geometry(affine)
    except InvalidInput as error:
        raise VolumeInvalid(f"{path} has a wrong header, {error}: fix the file") from error
    warnings = []
    if not _PLACED[image_io] & fields.keys():
        warnings.append(
            f"{path}: its header does not say where it lies, which side is left among it: the "
            "order of its voxels is taken as from right to left, front to back, feet to head"
        )
    return VolumeFile(
        path=path,
        shape=shape,
        volumes=volumes_of(shape, path, colour=False),
        colour=False,
        affine=affine,
        load=partial(_load, path, image_io, shape),
        kept={"kind": "volume", "version": 1, "affine": affine.tolist()},
        warnings=tuple(warnings),
    )


def _itk(path: Path) -> Any:
    """SimpleITK. It is as large as all else that a server needs, so a server may be without."""
    try:
        import SimpleITK
    except ImportError as error:
        raise VolumeInvalid(
            f"{path} is read with SimpleITK, which the server's image does not hold: import it "
            "with `sfumato import` in the worker's image or a plain install, or write it as NIfTI"
        ) from error
    return SimpleITK


def _load(path: Path, image_io: str, shape: tuple[int, ...]) -> FileVoxels:
    sitk = _itk(path)
    try:
        image = sitk.ReadImage(str(path), imageIO=image_io)
    except RuntimeError as error:
        raise VolumeInvalid(
            f"{path} is cut off or damaged, its voxels cannot be read: {_why(error)}; copy the "
            "file again"
        ) from error
    array = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        # Numbers of a voxel lie beside each other, and come last in NumPy too.
        array = np.moveaxis(array, -1, 0)
    raw = checked_numbers(array.transpose(), path)
    return FileVoxels(raw.reshape((*(*shape, 1)[:3], -1), order="F"), 1.0, 0.0, raw.dtype)


def _affine(reader: Any) -> Affine:
    dimensions = int(reader.GetDimension())
    spacing, origin = np.array(reader.GetSpacing()), np.array(reader.GetOrigin())
    direction = np.array(reader.GetDirection()).reshape(dimensions, dimensions)
    space = min(dimensions, 3)
    affine = np.eye(4)
    affine[:space, :space] = (direction * spacing)[:space, :space]
    affine[:space, 3] = origin[:space]
    placed: Affine = _LPS_TO_RAS @ affine
    return placed


def _fields(path: Path) -> dict[str, bytes]:
    """The text fields of a header, names in lower case."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except OSError as error:
        raise VolumeInvalid(f"{path} cannot be read: {error}") from error
    if not start:
        raise VolumeInvalid(f"{path} is empty: it has 0 bytes, copy the file again")
    # Voxels follow an empty line (NRRD), or the field that says so (MetaImage).
    text = re.split(rb"\r?\n\r?\n|(?<=LOCAL)\r?\n", start, maxsplit=1)[0]
    return {name.decode().lower(): value for name, value in _FIELD.findall(text)}


def _voxels_of(path: Path, fields: dict[str, bytes], image_io: str) -> Path:
    """The file with the voxels: this, or one beside it. A header leads nowhere else."""
    named = next((fields[name] for name in _ELSEWHERE[image_io] if name in fields), b"LOCAL")
    if named == b"LOCAL" and path.suffix.lower() != ".nhdr":
        return path
    name = named.decode(errors="replace")
    found = path.with_name(name) if "/" not in name and "\\" not in name and name else None
    if found is None or not found.is_file() or found.is_symlink():
        raise VolumeInvalid(
            f"{path} says that its voxels are in {name!r}: they must be in one file, in the same "
            "folder as the header"
        )
    return found


def _bytes_of(kind: str) -> int:
    bits = re.search(r"(8|16|32|64)-bit", kind)
    return int(bits[1]) // 8 if bits else 1


def _why(error: RuntimeError) -> str:
    """The last line of what ITK says; the others name its source code."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and line != "Reason: Success"]
    return said[-1] if said else "no reason is given"
