"""Pictures as other programs write them, and some as nobody should."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

LIMIT = 100 * 100
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
# What a file may say of showing it: transparent 1, gamma, significant bits, and shown turned.
SAYS = {
    b"tRNS": b"\x00\x01",
    b"gAMA": struct.pack(">I", 100_000),
    b"sBIT": b"\x01",
    b"iCCP": b"profile\x00\x00" + zlib.compress(b"no profile"),
    b"eXIf": b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    + b"\x00" * 4,
    b"tEXt": b"Comment\x00Anna",
}


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def rows_of(pixels: np.ndarray, depth: int) -> bytes:
    """Filtered by none: each row its samples, packed."""
    rows = []
    for row in pixels:
        if depth == 16:
            packed = row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            packed = np.packbits(bits.ravel()).tobytes()
        rows.append(b"\x00" + packed)
    return b"".join(rows)


def png(
    pixels: np.ndarray,
    depth: int,
    colour: int = GREY,
    interlaced: bool = False,
    says: dict | None = None,
) -> bytes:
    """A PNG written by hand, (H, W) of one sample a pixel."""
    height, width = pixels.shape
    data = rows_of(pixels, depth)
    if interlaced:
        steps = (
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        )
        passes = [pixels[y::dy, x::dx] for y, x, dy, dx in steps]
        data = b"".join(rows_of(one, depth) for one in passes if one.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    says = dict(says or {})
    extra = b"".join(chunk(kind, says.pop(kind)) for kind in list(says) if kind != b"tRNS")
    table = b""
    if colour == PALETTE:
        table = chunk(b"PLTE", bytes((n * 7) % 256 for n in range(3 * 2**depth)))
    after = b"".join(chunk(kind, data_) for kind, data_ in says.items())
    pixels_ = chunk(b"IDAT", zlib.compress(data))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + table
        + after
        + pixels_
        + chunk(b"IEND", b"")
    )


def tiff(pixels: np.ndarray, **how) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **how)
    return buffer.getvalue()


def pillow(image: Image.Image, kind: str = "TIFF", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **how)
    return buffer.getvalue()


def box(dtype=np.uint8, value=1) -> np.ndarray:
    pixels = np.zeros((20, 30), dtype=dtype)
    pixels[5:9, 6:14] = value
    return pixels


def hand_tiff(width, height, bits, data, compression=1, photometric=1, **more) -> bytes:
    """A TIFF of one strip written by hand; ``more``: tags by number, as t274=6."""
    tags = {256: width, 257: height, 258: bits, 259: compression, 262: photometric}
    tags |= {273: 0, 277: 1, 278: height, 279: len(data)}
    tags |= {int(key[1:]): value for key, value in more.items()}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = more.get("t273", start)
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(tags)) + fields + b"\x00" * 4 + data
