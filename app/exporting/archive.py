"""An export as a zip archive that is sent while it is written: no copy of it lies anywhere."""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from app.exporting.run import Export, ExportOptions, ExportReport
from app.store import Database

OnCase = Callable[[int, int, str], None]
_CHUNK = 1 << 20
# What is packed already gains nothing by being packed again.
_PACKED = (".gz", ".png", ".safetensors")


def stream_project(
    database: Database,
    name: str,
    options: ExportOptions,
    on_case: OnCase = lambda done, total, case: None,
    on_end: Callable[[ExportReport], None] = lambda report: None,
) -> Iterator[bytes]:
    """The bytes of a zip archive with the folder ``name``, a case after the other.

    The first bytes come once a case could be written: until then it raises what
    ``export_project`` raises. ``on_case`` is told after each case how many are done, of how many,
    and its name, and may raise to end it; ``on_end`` is given the report.
    """
    # One case at a time lies there.
    with tempfile.TemporaryDirectory(prefix="sfumato-export-", ignore_cleanup_errors=True) as made:
        folder = Path(made) / name
        export = Export(database, name, folder, options)
        sent = _Sent()
        with zipfile.ZipFile(sent, "w") as archive:
            for done, case in enumerate(export.cases(), 1):
                yield from _packed(export, archive, sent, Path(made))
                on_case(done, export.total, case)
            export.finish()
            yield from _packed(export, archive, sent, Path(made))
        yield sent.take()
        on_end(export.report)


class _Sent(io.RawIOBase):
    """What was written since it was last taken. It has no way back, as a connection has none."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]  # zipfile writes bytes
        self._parts.append(part)
        return len(part)

    @property
    def any(self) -> bool:
        """Whether there is something to take."""
        return bool(self._parts)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _packed(export: Export, archive: zipfile.ZipFile, sent: _Sent, root: Path) -> Iterator[bytes]:
    """Move the files that an export has written since into the archive."""
    for path in export.target.take_new():
        info = zipfile.ZipInfo.from_file(path, path.relative_to(root))
        packed = path.name.endswith(_PACKED)
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        with path.open("rb") as file, archive.open(info, "w") as entry:
            while chunk := file.read(_CHUNK):
                entry.write(chunk)
                if sent.any:
                    yield sent.take()
        path.unlink()
        yield sent.take()
