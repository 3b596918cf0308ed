"""The data folder: who may read it, the room on its disk, and the pages that are served."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil

from app.api.pages import BUILT
from app.doctor.finding import Finding, ok, warning, wrong
from app.observing.disk import room
from app.settings import Settings

_GIB = 1024**3
_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "afpfs", "webdav", "9p"),
        *("ceph", "lustre", "gpfs", "beegfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.cephfs", "fuse.rclone", "fuse.s3fs"),
    )
)


def folder(settings: Settings) -> Iterator[Finding]:
    """The data folder's permissions and disk."""
    data = settings.data.absolute()
    if not data.is_dir():
        yield warning(
            "data folder",
            f"{data} is not there",
            "give the right one with --data or SFUMATO_DATA; a first start makes it",
        )
    else:
        yield from _permissions(data)
        yield from _token(settings.admin_token_file)
    yield from _disk(data)


def _permissions(data: Path) -> Iterator[Finding]:
    about = "data folder"
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield wrong(
            about,
            f"this user may not read and write {data}",
            "run Sfumato as the user whom the folder belongs to, or change its owner",
        )
    elif data.stat().st_mode & stat.S_IRWXO:
        yield warning(
            about,
            f"every user of this machine may look into {data}, which holds images of patients",
            f"run chmod o-rwx {data}",
        )
    else:
        yield ok(about, f"{data} is kept from other users")


def _token(path: Path) -> Iterator[Finding]:
    if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield wrong(
            "admin's token",
            f"others than its owner may read {path}",
            f"run chmod 600 {path}, then make a new token and revoke this one (sfumato token)",
        )


def _disk(data: Path) -> Iterator[Finding]:
    about = "disk"
    found = room(data)
    free = found.free_bytes / found.size_bytes if found.size_bytes else 0.0
    words = f"{found.free_bytes / _GIB:.1f} GiB of {data}'s disk are free ({100 * free:.0f} %)"
    make_room = "enlarge the disk, or delete exports, projects and other things there"
    if found.free_bytes < _GIB or free < 0.03:
        yield wrong(about, words, make_room)
    elif free < 0.1:
        yield warning(about, words, make_room)
    else:
        yield ok(about, words)
    if found.inodes and found.free_inodes is not None:
        left = found.free_inodes / found.inodes
        if left < 0.05:
            yield (wrong if left < 0.01 else warning)(
                about,
                f"it takes only {found.free_inodes} more files",
                "delete small files there, or make a file system with more inodes",
            )


def pages() -> Iterator[Finding]:
    """Whether a browser finds anything."""
    if (BUILT / "index.html").is_file():
        yield ok("pages", "they are built")
    else:
        yield warning(
            "pages",
            "they are not built: a browser is told so, programs are served",
            "run make web in the checkout, or install a release",
        )


def network_file_system(path: Path) -> str | None:
    """The kind of file system that a file lies on, if that is one over a network."""
    there = path.resolve()
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    kind = next((mounts[one] for one in (there, *there.parents) if one in mounts), "")
    return kind if kind.lower() in _NETWORK else None
