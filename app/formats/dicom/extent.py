"""How many bytes of pixels a file really holds, found without reading them."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

_UNDEFINED = 0xFFFFFFFF
_KEYWORDS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
# Value representations whose length is written with four bytes, two bytes later.
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


@dataclass(frozen=True)
class Extent:
    """The element that holds the pixels.

    ``begin``: where its value stands; ``length``: its bytes that are in the file;
    ``fragments``: pieces of compressed pixels, None for uncompressed ones; ``whole``: whether
    all of it is there.
    """

    keyword: str
    begin: int
    length: int
    fragments: int | None
    whole: bool


def extent_of(file: BinaryIO, size: int, implicit: bool, little: bool) -> Extent | None:
    """From where a file of ``size`` bytes stands, before its first element of pixels."""
    order = "<" if little else ">"
    while len(head := file.read(8)) == 8:
        group, element, kind, short = struct.unpack(f"{order}HH2sH", head)
        length = short
        if implicit:
            length = struct.unpack(f"{order}L", head[4:])[0]
        elif kind in LONG:
            wide = file.read(4)
            if len(wide) < 4:
                return None
            length = struct.unpack(f"{order}L", wide)[0]
        keyword = _KEYWORDS.get((group, element))
        left = size - file.tell()
        if keyword is None:
            if length > left:
                return None
            file.seek(length, 1)
        elif length == _UNDEFINED:
            return _of_fragments(file, size, keyword, order)
        else:
            return Extent(keyword, file.tell(), min(length, left), None, length <= left)
    return None


def _of_fragments(file: BinaryIO, size: int, keyword: str, order: str) -> Extent:
    begin, items = file.tell(), 0
    while len(head := file.read(8)) == 8:
        group, element, length = struct.unpack(f"{order}HHL", head)
        # The first item is the table of offsets, no fragment.
        if (group, element) == _END:
            return Extent(keyword, begin, file.tell() - begin, max(0, items - 1), True)
        if (group, element) != _ITEM or length > size - file.tell():
            break
        items += 1
        file.seek(length, 1)
    return Extent(keyword, begin, size - begin, max(0, items - 1), False)
