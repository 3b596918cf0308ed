"""Data sets in: from a folder or an archive into a project, with a report of all that was found."""

from app.importing.folder import import_folder
from app.importing.options import ImportOptions, ImportStopped, Progress, Watch
from app.importing.report import ImportReport

__all__ = [
    "ImportOptions",
    "ImportReport",
    "ImportStopped",
    "Progress",
    "Watch",
    "import_folder",
]
