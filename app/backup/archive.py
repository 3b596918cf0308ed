"""A backup's file: a tar that is written and read in one pass, a few megabytes at a time.

backup.json                    what it is: format, schema, version, moment
tables/NAME/000000.jsonl.gz    rows of a table, some thousands a part, in the order of their keys
blobs/SHA256                   bytes
manifest.json                  counts and digests of all before it; without it, it is not whole
"""

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from app.backup.manifest import FORMAT, Format, Header, Manifest, RunningSum, Sum
from app.core.blob import Blob, digest
from app.core.errors import BackupInvalid

_HEADER, _MANIFEST = "backup.json", "manifest.json"
_TABLE = re.compile(r"tables/([a-z_]{1,63})/\d{6,}\.jsonl\.gz")
_BLOB = re.compile(r"blobs/([0-9a-f]{64})")
_PART_BYTES = 4 << 20
_LONGEST_WORDS = 16 << 20
Row = dict[str, Any]


class ArchiveWriter:
    """Writes an archive, in the order in which it will be read."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._made_at = header.made_at.timestamp()
        self._tables: dict[str, Sum] = {}
        self._blobs = RunningSum()
        words = header.model_dump_json(indent=1).encode()
        self._header_sha256 = digest(words)
        self._add(_HEADER, words)

    def add_table(self, name: str, rows: Iterable[Row]) -> None:
        """All rows of a table, whose values are JSON's."""
        running, part, number = RunningSum(), bytearray(), 0
        for row in rows:
            line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
            running.add(line)
            part += line
            if len(part) >= _PART_BYTES:
                self._add_part(name, number, part)
                part, number = bytearray(), number + 1
        if part:
            self._add_part(name, number, part)
        self._tables[name] = running.sum

    def add_blob(self, blob: Blob) -> None:
        """Bytes, which are as their name says."""
        self._blobs.add(blob.sha256.encode())
        self._add(f"blobs/{blob.sha256}", blob.data)

    def finish(self, numbers: dict[str, int], damaged: list[str]) -> Manifest:
        """What makes it whole, at its end."""
        manifest = Manifest(
            header_sha256=self._header_sha256,
            tables=self._tables,
            blobs=self._blobs.sum,
            numbers=numbers,
            damaged=damaged,
        )
        self._add(_MANIFEST, manifest.model_dump_json(indent=1).encode())
        self._tar.close()
        return manifest

    def _add_part(self, table: str, number: int, lines: bytearray) -> None:
        packed = gzip.compress(lines, compresslevel=3, mtime=0)
        self._add(f"tables/{table}/{number:06d}.jsonl.gz", packed)

    def _add(self, name: str, body: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(body), self._made_at, 0o600
        self._tar.addfile(info, io.BytesIO(body))
        # It would keep a line for each of a million blobs.
        self._tar.members.clear()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Rows:
    """A part of a table: to be read before the next part is asked for."""

    table: str
    rows: Iterator[Row]


class ArchiveReader:
    """Reads an archive once, from its beginning; use with ``with``.

    Every digest is checked on the way: whoever reads ``parts`` to the end has read what was
    written. Raises ``BackupInvalid`` wherever it is not that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        try:
            with self._readable():
                self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115
                first = self._tar.next()
                if first is None or first.name != _HEADER:
                    raise self._invalid("is no backup of Sfumato")
                words = self._read(first, _LONGEST_WORDS)
                self._check_format(words)
                self.header = Header.model_validate_json(words)
        except BaseException:
            self._file.close()
            raise
        self._header_sha256 = digest(words)
        self._tables: dict[str, RunningSum] = {}
        self._blobs = RunningSum()
        self._manifest: Manifest | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def manifest(self) -> Manifest:
        """What it holds; known once its parts were read."""
        if self._manifest is None:
            raise self._invalid("is not whole, its end is missing: use another backup")
        return self._manifest

    def parts(self) -> Iterator[Rows | Blob]:
        """All tables' parts, in an order in which what is referred to comes first; then blobs."""
        with self._readable():
            while (member := self._next()) is not None:
                if self._manifest is not None:
                    raise self._invalid(f"is damaged: {member.name[:80]} stands after its end")
                if table := _TABLE.fullmatch(member.name):
                    rows = self._rows(table[1], member)
                    yield Rows(table[1], rows)
                    for _ in rows:  # whatever was left of them: the digest is of all
                        pass
                elif blob := _BLOB.fullmatch(member.name):
                    yield self._blob(blob[1], member)
                elif member.name == _MANIFEST:
                    self._manifest = self._checked(self._read(member, _LONGEST_WORDS))
                else:
                    raise self._invalid(f"is damaged: it holds {member.name[:80]!r}")
        self.manifest  # noqa: B018  # raises where it is missing

    def _rows(self, table: str, member: tarfile.TarInfo) -> Iterator[Row]:
        running = self._tables.setdefault(table, RunningSum())
        with self._readable(), gzip.GzipFile(fileobj=self._open(member)) as lines:
            for line in lines:
                running.add(line)
                yield json.loads(line)

    def _blob(self, name: str, member: tarfile.TarInfo) -> Blob:
        blob = Blob.of(self._read(member, member.size))
        if blob.sha256 != name:
            raise self._invalid(f"is damaged: the bytes of {member.name} are other bytes")
        self._blobs.add(name.encode())
        return blob

    def _checked(self, words: bytes) -> Manifest:
        manifest = Manifest.model_validate_json(words)
        if manifest.header_sha256 != self._header_sha256:
            raise self._invalid(f"is damaged: {_HEADER} is not as it was written")
        wanted = {**manifest.tables, "blobs": manifest.blobs}
        found = {**{name: one.sum for name, one in self._tables.items()}, "blobs": self._blobs.sum}
        for name in sorted(wanted.keys() | found.keys()):
            was, is_ = wanted.get(name, Sum()), found.get(name, Sum())
            if was != is_:
                what = "blobs" if name == "blobs" else f"rows of {name}"
                raise self._invalid(
                    f"is damaged: it was written with {was.count} {what}, and has {is_.count} "
                    "that may be other ones"
                )
        return manifest

    def _check_format(self, words: bytes) -> None:
        number = Format.model_validate_json(words).format
        if number != FORMAT:
            raise self._invalid(
                f"has the format {number}, this program reads {FORMAT}: use a newer Sfumato"
            )

    def _next(self) -> tarfile.TarInfo | None:
        self._tar.members.clear()  # type: ignore[attr-defined]  # as in the writer
        return self._tar.next()

    def _read(self, member: tarfile.TarInfo, most: int) -> bytes:
        body = self._open(member).read(most)
        if len(body) != member.size:
            raise self._invalid(f"is damaged: {member.name[:80]} is not whole")
        return body

    def _open(self, member: tarfile.TarInfo) -> IO[bytes]:
        file = self._tar.extractfile(member)
        if file is None:
            raise self._invalid(f"is damaged: {member.name[:80]} is no file")
        return file

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, EOFError) as error:
            raise self._invalid("is no backup of Sfumato, or not whole: use another") from error
        except (gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise self._invalid("is damaged: use another backup") from error

    def _invalid(self, words: str) -> BackupInvalid:
        return BackupInvalid(f"{self._path} {words}")
