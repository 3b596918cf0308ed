"""A project's data set over HTTP, out."""

import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter, BackgroundTasks
from fastapi.responses import FileResponse

from app.api.dependencies import Admin, CurrentDatabase
from app.api.projects import Name
from app.exporting import export_project

router = APIRouter(prefix="/projects", tags=["projects"])


@router.get(
    "/{name}/export",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export(
    name: Name, admin: Admin, database: CurrentDatabase, background: BackgroundTasks
) -> FileResponse:
    """Images, labels and the current model as a zip archive in the Decathlon layout."""
    folder = Path(tempfile.mkdtemp(prefix="sfumato-export-"))
    background.add_task(shutil.rmtree, folder, ignore_errors=True)
    try:
        export_project(database, name, folder / name)
        archive = shutil.make_archive(str(folder / "archive"), "zip", folder, name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(archive, media_type="application/zip", filename=f"{name}.zip")
