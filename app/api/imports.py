"""A data set over HTTP, in: a zip archive."""

import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import Admin, CurrentDatabase, CurrentSettings, Workers
from app.api.projects import Name
from app.api.schemas.jobs import ImportOut
from app.core.errors import BodyTooLarge, InvalidInput, VolumeInvalid
from app.importing import ImportOptions, import_folder
from app.loop.datasets import ImportReport
from app.store import Database

router = APIRouter(prefix="/projects", tags=["projects"])

# Images in an archive are packed already; more than this is an archive that was made to harm.
_LARGEST_EXPANSION = 20
_ARCHIVE = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _upload(request: Request, settings: CurrentSettings) -> AsyncIterator[Path]:
    """The body as a file, in a folder that is gone after the reply."""
    limit = settings.max_import_bytes
    folder = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="sfumato-import-"))
    try:
        received = 0
        with (folder / "upload.zip").open("wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                if received > limit:
                    raise BodyTooLarge(f"the archive has more than {limit} bytes, the limit")
                await run_in_threadpool(file.write, chunk)
        yield folder / "upload.zip"
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


@router.post("/{name}/imports", openapi_extra=_ARCHIVE)
def import_archive(
    name: Name,
    admin: Admin,
    database: CurrentDatabase,
    archive: Annotated[Path, Depends(_upload)],
    layout: Annotated[str, Query(max_length=64, description="A name of the catalogue.")],
    workers: Workers,
    background: BackgroundTasks,
    masks: Annotated[
        Literal["pool", "oracle"] | None,
        Query(description="What masks in the archive are: labels, or hidden truth."),
    ] = None,
    merge_labels: bool = False,
    validation: Annotated[float | None, Query(ge=0, lt=1)] = None,
    test: Annotated[float | None, Query(ge=0, lt=1)] = None,
    channel: Annotated[
        list[str] | None,
        Query(description="Of those that the data set offers, by name or number; several add up."),
    ] = None,
    seed: int = 0,
) -> ImportOut:
    """Import a zip archive of a folder that `sfumato import` would take.

    A project that is not there is made. Cases that cannot be taken are named, the others are
    kept; the same archive again adds nothing.
    """
    unpacked = _unpacked(archive)
    options = ImportOptions(
        masks=masks,
        merge=merge_labels,
        validation=validation,
        test=test,
        channels=tuple(channel or ()),
        seed=seed,
    )
    report = _imported(database, layout, unpacked, name, options)
    if report.retraining:
        background.add_task(workers.wake, sorted(report.retraining))
    return ImportOut.model_validate(report)


def _imported(
    database: Database, layout: str, folder: Path, name: str, options: ImportOptions
) -> ImportReport:
    """Import what lies at the archive's top, or in the one folder that it holds."""
    try:
        return import_folder(database, layout, folder, name, options)
    except VolumeInvalid as error:
        inside = [entry for entry in folder.iterdir() if entry.name != "__MACOSX"]
        if len(inside) == 1 and inside[0].is_dir():
            return _imported(database, layout, inside[0], name, options)
        # Where we unpacked it is nothing that the sender knows.
        raise InvalidInput(str(error).replace(str(folder), "the archive")) from error


def _unpacked(archive: Path) -> Path:
    folder = archive.parent / "unpacked"
    try:
        with zipfile.ZipFile(archive) as opened:
            size = sum(entry.file_size for entry in opened.infolist())
            if size > _LARGEST_EXPANSION * max(archive.stat().st_size, 1_000_000):
                raise InvalidInput(f"the archive would unpack to {size} bytes: send it in parts")
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidInput(
            f"the body is not a zip archive that can be opened ({error}): zip the folder that "
            "holds the data set and send that"
        ) from error
    return folder
