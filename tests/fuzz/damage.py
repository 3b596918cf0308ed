"""Good bytes made bad, the same way for the same seed."""

import random
import struct
import zlib
from collections.abc import Callable

Damage = Callable[[random.Random, bytearray], bytearray]
# What a size or a place is often wrong by.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(rng: random.Random, good: bytes) -> bytes:
    """The bytes with one to three kinds of damage."""
    body = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        body = rng.choice(_DAMAGES)(rng, body)
    return bytes(body)


def resummed(png: bytes) -> bytes:
    """A PNG whose chunks' sums are right again, so that what is damaged in them is believed."""
    body, at = bytearray(png), 8
    while at + 12 <= len(body):
        end = at + 8 + int.from_bytes(body[at : at + 4])
        if end + 4 > len(body):
            break
        body[end : end + 4] = struct.pack(">I", zlib.crc32(body[at + 4 : end]))
        at = end + 4
    return bytes(body)


def _cut(rng: random.Random, body: bytearray) -> bytearray:
    return body[: rng.randrange(len(body) + 1)]


def _flipped(rng: random.Random, body: bytearray) -> bytearray:
    for _ in range(rng.randint(1, 8) if body else 0):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return body


def _another_size(rng: random.Random, body: bytearray) -> bytearray:
    """A number near the beginning, where sizes stand, or at the end, where a zip's directory is."""
    if len(body) < 4:
        return body
    reach = min(len(body) - 4, rng.choice((32, 128, 512)))
    at = rng.randint(0, reach) if rng.random() < 0.7 else len(body) - 4 - rng.randint(0, reach)
    width = rng.choice(("<B", "<H", ">H", "<I", ">I"))
    value = rng.choice(_EDGES) & (256 ** struct.calcsize(width) - 1)
    struct.pack_into(width, body, at, value)
    return body


def _without_a_part(rng: random.Random, body: bytearray) -> bytearray:
    at = rng.randrange(len(body) + 1)
    del body[at : at + rng.randint(1, 64)]
    return body


def _with_a_part_twice(rng: random.Random, body: bytearray) -> bytearray:
    at = rng.randrange(len(body) + 1)
    return body[: at + rng.randint(1, 200)] + body[at:]


def _overwritten(rng: random.Random, body: bytearray) -> bytearray:
    at, length = rng.randrange(len(body) + 1), rng.randint(1, 40)
    with_what = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    body[at : at + length] = with_what
    return body


def _longer(rng: random.Random, body: bytearray) -> bytearray:
    return body + rng.choice((bytes(5000), rng.randbytes(100), bytes(body)))


_DAMAGES: tuple[Damage, ...] = (
    _cut,
    _flipped,
    _another_size,
    _another_size,
    _without_a_part,
    _with_a_part_twice,
    _overwritten,
    _longer,
)
