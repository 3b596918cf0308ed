"""What an archive says of itself: at its beginning what it is, at its end what it holds."""

from datetime import datetime
from hashlib import sha256

from pydantic import BaseModel

FORMAT = 1


class Format(BaseModel):
    """What any header says, whatever else."""

    format: int


class Header(BaseModel):
    """What an archive is. ``revision``: of the schema; ``made_at``: the moment that it shows."""

    format: int = FORMAT
    revision: str
    version: str
    engine: str
    made_at: datetime


class Sum(BaseModel):
    """How many rows of a table or how many blobs, and the sha256 of all lines or names."""

    count: int = 0
    sha256: str = sha256().hexdigest()


class Manifest(BaseModel):
    """What a whole archive holds.

    ``numbers``: by table the highest id that was ever given; ``damaged``: names of bytes that were
    damaged in the installation, and so are not in it.
    """

    header_sha256: str
    tables: dict[str, Sum] = {}
    blobs: Sum = Sum()
    numbers: dict[str, int] = {}
    damaged: list[str] = []

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.count for table in self.tables.values())


class RunningSum:
    """A sum while it is added up."""

    def __init__(self) -> None:
        self._count = 0
        self._hash = sha256()

    def add(self, line: bytes) -> None:
        """One more line or name."""
        self._count += 1
        self._hash.update(line)

    @property
    def sum(self) -> Sum:
        """As it stands."""
        return Sum(count=self._count, sha256=self._hash.hexdigest())
