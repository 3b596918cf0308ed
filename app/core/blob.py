"""Bytes under the name that they are kept by."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self


def digest(body: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    return sha256(body).hexdigest()


@dataclass(frozen=True)
class Blob:
    """Bytes and their sha256. Made before a transaction begins: hashing takes its time."""

    sha256: str
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Bytes with the name that they get."""
        return cls(digest(data), data)
