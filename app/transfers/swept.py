"""What servers that ended were at goes on with others; what lies on disk and nobody needs goes."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from app.core.liveness import Silence
from app.loop import transfers
from app.settings import Settings
from app.store import Database, database_now
from app.transfers.archives import ARCHIVE
from app.transfers.runner import forget

Watch = Silence[tuple[int, int], datetime | None]
# An upload that stands still for so long was given up.
_ABANDONED_SECONDS = 600
# For a server that has the bytes of a transfer to come back.
_WAITED = timedelta(hours=1)


def sweep(database: Database, settings: Settings, watch: Watch) -> None:
    """Take back what ended servers had begun, and remove exports that nobody fetched."""
    with database.reading() as session:
        silent = watch.silent(transfers.beats(session))
    with database.writing() as session:
        now = database_now(session)
        transfers.take_back(session, now, silent)
        transfers.give_up(session, now - _WAITED, lambda folder: Path(folder).is_dir())
    for folder in not_needed(database, settings):
        forget(folder)


def not_needed(database: Database, settings: Settings) -> list[Path]:
    """The folders of this server's that can go: exports kept for long enough, what was left."""
    root = settings.transfers_folder
    folders = list(root.iterdir()) if root.is_dir() else []
    if not folders:
        return []
    with database.reading() as session:
        needed, known = transfers.folders_needed(session)
    found = []
    for folder in folders:
        # What no row names is just being uploaded, or an export of what was deleted.
        kept = settings.keep_exports_days * 86400 if str(folder) in known else _ABANDONED_SECONDS
        if str(folder) not in known and (folder / ARCHIVE).exists():
            kept = 0
        if str(folder) not in needed and _touched(folder) < time.time() - kept:
            found.append(folder)
    return found


def _touched(folder: Path) -> float:
    """When something was last written there."""
    with suppress(FileNotFoundError):
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return time.time()
