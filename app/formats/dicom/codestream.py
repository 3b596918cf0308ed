"""The size that compressed pixels claim themselves: a decoder believes them, not the header."""

import struct

_JPEG2000 = b"\xff\x4f\xff\x51"
# Frame headers of JPEG and of JPEG-LS; C4, C8 and CC are other segments.
_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}) | {0xF7}
_START, _SCAN = b"\xff\xd8", 0xDA
# A wrapped codestream begins behind a few boxes.
_WRAPPING = 1024


def claimed_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream claims; None where unknown."""
    begin = stream.find(_JPEG2000, 0, _WRAPPING)
    if begin >= 0 and len(stream) >= begin + 24:
        right, bottom, left, top = struct.unpack(">4L", stream[begin + 8 : begin + 24])
        return bottom - top, right - left
    return _of_jpeg(stream) if stream[:2] == _START else None


def _of_jpeg(stream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        kind = stream[at + 1]
        if kind == 0xFF:
            at += 1
        elif kind in _FRAME:
            rows, columns = struct.unpack(">2H", stream[at + 5 : at + 9])
            return rows, columns
        elif kind == _SCAN:
            return None
        else:
            at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
