"""Backups: an installation as one file, back again on either engine, and all of it checked."""

from app.backup.make import make_backup
from app.backup.manifest import Manifest
from app.backup.progress import Watch
from app.backup.restore import restore_backup
from app.backup.verify import verify_backup, verify_database

__all__ = [
    "Manifest",
    "Watch",
    "make_backup",
    "restore_backup",
    "verify_backup",
    "verify_database",
]
