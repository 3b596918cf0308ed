"""Uploaded archives: unpacked a member at a time where their bytes lie, within bounds.

What cannot be unpacked is named and left out; the others go on their way.
"""

import errno
import json
import lzma
import os
import re
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

UPLOAD, UNPACKED, ARCHIVE = "upload.zip", "unpacked", "archive.zip"
_DONE = "unpacked.json"
# Images in an archive are packed already; more than this is an archive that was made to harm.
_LARGEST_EXPANSION, _SMALLEST_LIMIT = 20, 20_000_000
_MOST_MEMBERS, _CHUNK = 1_000_000, 1 << 20
_LONGEST_PART = 255
_ENCRYPTED, _UTF8 = 0x1, 0x800
# What zipfile and its decompressors raise of damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Unpacked:
    """Where the data set lies, and members that do not: their names in the archive, and why."""

    root: Path
    left_out: Mapping[str, str]


class _LeftOut(Exception):
    """A member that is not unpacked, in words."""


def unpack(folder: Path, name: str) -> Unpacked:
    """The upload in a folder, unpacked; the data set is called ``name`` where it has no name.

    What was unpacked before an interruption is taken as it is. Raises ``InvalidInput`` where
    nothing can be unpacked, it would be too much, or the disk is full.
    """
    root, done = folder / UNPACKED / safe_case_name(name), folder / _DONE
    if done.exists():
        return Unpacked(root, json.loads(done.read_text("utf-8")))
    root.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(folder / UPLOAD) as opened:
            left_out = _Members(opened, root, _limit(folder / UPLOAD)).unpack()
    except _DAMAGED as error:
        raise InvalidInput(
            f"the body is not a zip archive that can be opened ({_kind(error)}): zip the folder "
            "that holds the data set and send that"
        ) from error
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise InvalidInput(f"the archive cannot be unpacked: {why}") from error
    if left_out and not any(root.rglob("*")):
        first = "\n".join(f"  {member}: {why}" for member, why in list(left_out.items())[:10])
        raise InvalidInput(f"nothing of the archive can be unpacked:\n{first}")
    part = done.with_suffix(".part")
    part.write_text(json.dumps(left_out), "utf-8")
    part.rename(done)
    return Unpacked(root, left_out)


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
        names = [_text(info) for info in self._infos]
        # Some programs of Windows write "\", which the standard forbids, and nothing else.
        windows = not any("/" in name for name in names)
        self._names = [name.replace("\\", "/") for name in names] if windows else names
        self._size = 0
        self._files: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = set()

    def unpack(self) -> dict[str, str]:
        """Write all that can be; returns why others cannot. Raises ``InvalidInput``."""
        declared = sum(info.file_size for info in self._infos)
        if declared > self._limit or len(self._infos) > _MOST_MEMBERS:
            raise InvalidInput(f"the archive would unpack to {declared} bytes: send it in parts")
        left_out: dict[str, str] = {}
        for info, name in zip(self._infos, self._names, strict=True):
            shown = "".join(c if c.isprintable() else "\ufffd" for c in name)
            again = 2
            try:
                self._one(info, name)
            except _LeftOut as why:
                key = shown
                while key in left_out:
                    key, again = f"{shown} ({again})", again + 1
                left_out[key] = str(why)
        return left_out

    def _one(self, info: zipfile.ZipInfo, name: str) -> None:
        inside = _inside(name)
        if any(is_left_behind(part) for part in inside.parts) or not inside.parts:
            return
        kind = stat.S_IFMT(info.external_attr >> 16)
        if name.endswith("/") or kind == stat.S_IFDIR:
            return  # folders are made for what lies in them
        if kind not in (0, stat.S_IFREG):
            raise _LeftOut("it is a link or a device, no file: put the file itself in its place")
        if info.flag_bits & _ENCRYPTED:
            raise _LeftOut("it is encrypted: pack it without a password")
        if inside in self._files:
            raise _LeftOut("the archive holds it twice: the first was taken")
        if inside in self._folders or not self._files.isdisjoint(inside.parents):
            raise _LeftOut("the archive holds a file and a folder of one name")
        self._write(info, self._root / inside)
        self._files.add(inside)
        self._folders.update(inside.parents)

    def _write(self, info: zipfile.ZipInfo, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._opened.open(info) as member, path.open("wb") as file:
                while chunk := member.read(_CHUNK):
                    self._size += len(chunk)
                    if self._size > self._limit:
                        raise InvalidInput("the archive unpacks to more than it says: pack it anew")
                    file.write(chunk)
        except InvalidInput:
            raise
        except _DAMAGED as error:
            path.unlink(missing_ok=True)
            raise _LeftOut(
                f"it is damaged in the archive ({_kind(error)}): pack it anew"
            ) from error
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
                raise
            why = os.strerror(error.errno) if error.errno else type(error).__name__
            raise _LeftOut(f"it cannot be written: {why}") from error


def _text(info: zipfile.ZipInfo) -> str:
    """A member's name. Without the flag it should be of DOS, and is of UTF-8 where it can be."""
    written = info.orig_filename
    if info.flag_bits & _UTF8:
        return written
    try:
        return written.encode("cp437").decode("utf-8")
    except UnicodeError:
        return written


def _inside(name: str) -> PurePosixPath:
    """Where a member goes below the root, whatever its name is. Raises ``_LeftOut``."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if parts and re.fullmatch("[A-Za-z]:", parts[0]):
        parts = parts[1:]
    if ".." in parts:
        raise _LeftOut("its name leads out of the archive: pack it anew")
    safe = ["".join(c if c.isprintable() else "_" for c in part) for part in parts]
    if any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in safe):
        raise _LeftOut(f"its name is longer than {_LONGEST_PART} bytes: give it a shorter one")
    return PurePosixPath(*safe)


def _kind(error: BaseException) -> str:
    """What is wrong, in words of ours: a library's may quote what lies there."""
    said = str(error)
    if "CRC" in said:
        return "its checksum is wrong"
    if isinstance(error, NotImplementedError):
        return "it is packed in a way that is not read"
    return "its bytes are cut or changed"
