"""Uploaded archives: unpacked a member at a time where their bytes lie, within bounds.

What cannot be unpacked is named and left out; the others go on their way.
"""

import errno
import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.core.errors import InvalidInput
from app.core.names import safe_case_name
from app.formats.files import is_left_behind
from app.transfers.member_names import DOS_LIKE, LeftOut, inside, names_of, parts_of, unused

UPLOAD, UNPACKED, ARCHIVE = "upload.zip", "unpacked", "archive.zip"
_DONE = "unpacked.json"
# Images in an archive are packed already; more than this is an archive that was made to harm.
_LARGEST_EXPANSION, _SMALLEST_LIMIT = 20, 20_000_000
_MOST_MEMBERS, _CHUNK = 1_000_000, 1 << 20
_ENCRYPTED, _DOS_FOLDER = 0x1, 0x10
# zipfile unpacks others without a bound: 500 bytes of bzip2 can take gigabytes of memory.
_READ = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What zipfile and its decompressors raise of damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class Unpacked:
    """Where the data set lies, and members that do not: their names in the archive, and why."""

    root: Path
    left_out: Mapping[str, str]

    def tell(self, report: dict[str, str]) -> None:
        """Add what is left out to a report's, where a file of the same name may stand already."""
        numbers: dict[str, int] = {}
        for member, why in self.left_out.items():
            report[unused(member, report, numbers)] = why


def unpack(folder: Path, name: str) -> Unpacked:
    """The upload in a folder, unpacked; the data set is called ``name`` where it has no name.

    What was unpacked before an interruption is taken as it is. Raises ``InvalidInput`` where
    nothing can be unpacked, it would be too much, or the disk is full.
    """
    root, done = folder / UNPACKED / safe_case_name(name), folder / _DONE
    if done.exists():
        return Unpacked(root, json.loads(done.read_text("utf-8")))
    try:
        # What an interruption left half unpacked would read as names that are there twice.
        shutil.rmtree(folder / UNPACKED, ignore_errors=True)
        root.mkdir(parents=True)
        with zipfile.ZipFile(folder / UPLOAD) as opened:
            left_out = _Members(opened, root, _limit(folder / UPLOAD)).unpack()
        part = done.with_suffix(".part")
        part.write_text(json.dumps(left_out), "utf-8")
        part.rename(done)
    except InvalidInput:
        shutil.rmtree(folder / UNPACKED, ignore_errors=True)
        raise
    except (*_DAMAGED, OSError) as error:
        shutil.rmtree(folder / UNPACKED, ignore_errors=True)
        raise _refusal(error) from error
    return Unpacked(root, left_out)


def _refusal(error: Exception) -> InvalidInput:
    """What to tell of an archive that cannot be unpacked at all."""
    if not isinstance(error, OSError):
        return InvalidInput(
            f"the body is not a zip archive that can be opened ({_kind(error)}): zip the folder "
            "that holds the data set and send that"
        )
    if error.errno in _FULL:
        return InvalidInput(
            "the server's disk is full: make room there, then send the archive again"
        )
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return InvalidInput(f"the archive cannot be unpacked: {why}")


def stem_of(filename: str | None, digest: str) -> str:
    """What an archive's data set is called: by the sender's file name, else by its bytes."""
    base = (filename or "").replace("\\", "/").rpartition("/")[2].strip()
    base = base[:-4] if base.casefold().endswith(".zip") else base
    return base or f"archive-{digest[:8]}"


def _limit(archive: Path) -> int:
    return max(_LARGEST_EXPANSION * archive.stat().st_size, _SMALLEST_LIMIT)


class _Members:
    """The members of an archive on their way into a folder."""

    def __init__(self, opened: zipfile.ZipFile, root: Path, limit: int) -> None:
        self._opened, self._root, self._limit = opened, root, limit
        self._infos = opened.infolist()
        self._names = names_of(self._infos)
        self._size = 0
        self._files: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = set()

    def unpack(self) -> dict[str, str]:
        """Write all that can be; returns why others cannot. Raises ``InvalidInput``."""
        if len(self._infos) > _MOST_MEMBERS:
            raise InvalidInput(f"the archive has over {_MOST_MEMBERS} members: send it in parts")
        declared = sum(info.file_size for info in self._infos)
        if declared > self._limit:
            raise InvalidInput(
                f"the archive would unpack to {declared} bytes, more than the {self._limit} that "
                "one of its size may: send it in parts"
            )
        left_out: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for info, name in zip(self._infos, self._names, strict=True):
            try:
                self._one(info, name)
            except LeftOut as why:
                shown = "".join(c if c.isprintable() else "\ufffd" for c in name)
                left_out[unused(shown, left_out, numbers)] = str(why)
        if not self._files:
            raise InvalidInput(_nothing(left_out))
        return left_out

    def _one(self, info: zipfile.ZipInfo, name: str) -> None:
        parts = parts_of(name)
        if any(is_left_behind(part) for part in parts):
            return
        kind = stat.S_IFMT(info.external_attr >> 16)
        marked = info.create_system in DOS_LIKE and info.external_attr & _DOS_FOLDER
        if not info.file_size and (name.endswith("/") or kind == stat.S_IFDIR or marked):
            return  # folders are made for what lies in them
        path = inside(parts)
        if name.endswith("/") or not path.parts:
            raise LeftOut("it has bytes, but no file's name: pack it anew")
        _check(info, name, kind)
        if path in self._files:
            raise LeftOut("it is in the archive twice: the first was taken")
        if path in self._folders or not self._files.isdisjoint(path.parents):
            raise LeftOut("the archive holds a file and a folder of one name")
        self._write(info, self._root / path)
        self._files.add(path)
        self._folders.update(path.parents)
        if len(self._files) + len(self._folders) > _MOST_MEMBERS:
            raise InvalidInput(f"the archive has over {_MOST_MEMBERS} folders: send it in parts")

    def _write(self, info: zipfile.ZipInfo, path: Path) -> None:
        """Write a member as a new file; one that fails leaves no file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": a disk may hold two names for one, such as names that differ in capitals.
            file = path.open("xb")
        except FileExistsError as error:
            raise LeftOut(
                "it is in the archive twice for the server's disk (capitals, accents): the first "
                "was taken"
            ) from error
        except OSError as error:
            raise _unwritten(error) from error
        try:
            with file, self._opened.open(info) as member:
                while chunk := member.read(_CHUNK):
                    self._size += len(chunk)
                    if self._size > self._limit:
                        raise InvalidInput("the archive unpacks to more than it says: pack it anew")
                    file.write(chunk)
        except (*_DAMAGED, OSError) as error:
            path.unlink(missing_ok=True)
            # A place that no file has is where a damaged directory sends the reader.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise _unwritten(error) from error
            raise LeftOut(f"it is damaged in the archive ({_kind(error)}): pack it anew") from error


def _unwritten(error: OSError) -> Exception:
    """Of one member, where the disk itself is well; else the error, which ends them all."""
    if error.errno in _FULL or error.errno in (errno.EIO, errno.EROFS):
        return error
    if error.errno == errno.ENAMETOOLONG:
        return LeftOut("its folders' names and its own are too long together: shorten them")
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return LeftOut(f"it cannot be written: {why}")


def _check(info: zipfile.ZipInfo, name: str, kind: int) -> None:
    """Raises ``LeftOut`` for what is no file that can be read. kind: of its Unix mode, or 0."""
    if kind not in (0, stat.S_IFREG):
        raise LeftOut("it is a link or a device, no file: put the file itself in its place")
    if info.flag_bits & _ENCRYPTED:
        raise LeftOut("it is encrypted: pack it without a password")
    if info.compress_type not in _READ:
        raise LeftOut("it is packed in a way that is not read: pack it as usual (deflate)")
    if name.casefold().endswith(".zip"):
        raise LeftOut("it is an archive in the archive: unpack it first, then pack all together")


def _nothing(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return "the archive holds no files: zip the folder that holds the data set and send that"
    first = "\n".join(f"  {member}: {why}" for member, why in list(left_out.items())[:10])
    more = f"\n  and {len(left_out) - 10} more" if len(left_out) > 10 else ""
    return f"nothing of the archive can be unpacked:\n{first}{more}"


def _kind(error: BaseException) -> str:
    """What is wrong, in words of ours: a library's may quote what lies there."""
    said = str(error)
    if "CRC" in said:
        return "its checksum is wrong"
    if isinstance(error, NotImplementedError):
        return "it is packed in a way that is not read"
    return "its bytes are cut or changed"
