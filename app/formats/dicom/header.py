"""The header of one file, read without its pixels, whatever the bytes are."""

import io
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian

from app.core.errors import VolumeInvalid
from app.formats.dicom.extent import LONG, Extent, extent_of
from app.formats.dicom.quiet import attempt

_MAGIC = b"DICM"
# How a file without preamble begins: with group 2 or 8, whichever byte comes first.
_FIRST_GROUPS = frozenset({b"\x02\x00", b"\x08\x00", b"\x00\x08"})
# A deflated file that grows beyond these bytes, and so many times, is made to fill the memory.
_INFLATED, _TIMES = 2**26, 200
_PIXELS = 0x7FE00000


@dataclass(frozen=True)
class Header:
    """What was asked for of a file's header, and how many bytes of pixels are there."""

    path: Path
    dataset: FileDataset
    extent: Extent | None


class _Bounded(io.BufferedReader):
    """Asked for more than the file holds, it takes no memory for the rest."""

    size = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 2**20:
            size = max(0, min(size, self.size - self.tell()))
        return super().read(size)


def read_header(path: Path, tags: list[int]) -> Header | None:
    """The elements of these tags; None for a file that is not DICOM. Raises ``VolumeInvalid``.

    A file without preamble is read as well.
    """
    try:
        file = _Bounded(io.FileIO(path))
    except OSError as error:
        raise VolumeInvalid(f"{path} cannot be read: {error.strerror}") from None
    with file:
        file.size = os.fstat(file.fileno()).st_size
        if not file.size:
            raise VolumeInvalid(f"{path} is empty (0 bytes): copy it again")
        begin = attempt(lambda: file.read(2048))
        if begin is None:
            raise VolumeInvalid(f"{path} cannot be read from its disk")
        if not _begins(begin):
            return None
        file.seek(0)
        found = attempt(lambda: _read(path, file, begin, tags))
    if found is None:
        raise VolumeInvalid(
            f"{path} begins as DICOM and cannot be read: it is damaged or cut, copy it again"
        )
    # Other files may begin with these bytes as well.
    return found if begin[128:132] == _MAGIC or len(found.dataset) else None


def with_pixels(path: Path, tags: list[int]) -> FileDataset:
    """The elements of these tags, of a file that ``read_header`` has read."""
    dataset: FileDataset = dcmread(path, force=True, specific_tags=list(tags))
    return dataset


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    try:
        with path.open("rb") as file:
            return _begins(file.read(132))
    except OSError:
        return False


def _begins(begin: bytes) -> bool:
    return begin[128:132] == _MAGIC or begin[:2] in _FIRST_GROUPS


def _read(path: Path, file: _Bounded, begin: bytes, tags: list[int]) -> Header:
    if DeflatedExplicitVRLittleEndian.encode() in begin:
        return _deflated(path, file, tags)
    dataset = read_partial(
        file, stop_when=lambda tag, vr, length: tag >= _PIXELS, force=True, specific_tags=list(tags)
    )
    return Header(path, dataset, _extent(file, file.size, dataset))


def _deflated(path: Path, file: BinaryIO, tags: list[int]) -> Header:
    """Of a file whose elements are compressed as a whole: it has to be read to its end."""
    body = file.read()
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    most = max(_INFLATED, _TIMES * len(body))
    inflated = reader.decompress(body[_after_meta(body) :], most)
    if reader.unconsumed_tail:
        raise VolumeInvalid(f"{path} grows beyond {most} bytes")
    plain = io.BytesIO(inflated)
    dataset = dcmread(path, force=True, specific_tags=list(tags))
    read_dataset(plain, False, True, stop_when=lambda tag, vr, length: tag >= _PIXELS)
    found = extent_of(plain, len(inflated), False, True)
    # Where its pixels begin in the file nobody can say.
    return Header(path, dataset, found and replace(found, begin=-1))


def _after_meta(body: bytes) -> int:
    """Where the elements after group 2 begin: some files do not say how long that is."""
    place = 132
    while body[place : place + 2] == b"\x02\x00":
        if body[place + 4 : place + 6] in LONG:
            place += 12 + int.from_bytes(body[place + 8 : place + 12], "little")
        else:
            place += 8 + int.from_bytes(body[place + 6 : place + 8], "little")
    return place


def _extent(file: BinaryIO, size: int, dataset: FileDataset) -> Extent | None:
    implicit, little = dataset.original_encoding
    return extent_of(file, size, bool(implicit), little is not False)
