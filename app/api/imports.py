"""A data set over HTTP, in: a zip archive, streamed to disk and read outside of the request."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import CurrentDatabase, CurrentSettings, Runner, SignedIn
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.transfers import ImportOut, TransferOut
from app.core import catalogue
from app.core.errors import BodyTooLarge, InvalidInput
from app.core.geometry import Plane
from app.core.names import checked_name
from app.formats.opening import AUTO
from app.importing import ImportOptions
from app.loop import transfers
from app.loop.access import HERE, Reader
from app.settings import Settings
from app.store import JobState, TransferKind, database_now
from app.transfers.archives import UPLOAD, stem_of

router = Router(prefix="/projects", tags=["transfers"])

_ARCHIVE = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _may_import(name: Name, reader: SignedIn, database: CurrentDatabase) -> Reader:
    with database.reading() as session:
        transfers.allow_admin(session, reader, name)
    return reader


# Asked before a byte of the archive is taken.
MayImport = Annotated[Reader, Depends(_may_import)]


@dataclass
class _Upload:
    """An archive on disk. Its folder is removed after the request unless it is ``kept``."""

    folder: Path
    digest: str
    kept: bool = False


@dataclass(frozen=True)
class _Asked:
    """An import as it is asked for, checked before a byte of it is taken."""

    project: str
    layout: str
    options: ImportOptions
    filename: str | None


def _asked(
    name: Name,
    admin: MayImport,
    layout: Annotated[
        str, Query(max_length=64, description="A name of the catalogue, or auto.")
    ] = AUTO,
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
    plane: Annotated[
        Plane | None, Query(description="To cut in; without it, the plane of acquisition.")
    ] = None,
    trust_voxels: Annotated[
        bool, Query(description="Label maps lie on their images whatever their headers say.")
    ] = False,
    images: Annotated[str | None, Query(max_length=200)] = None,
    labels: Annotated[str | None, Query(max_length=200)] = None,
    filename: Annotated[
        str | None,
        Query(max_length=255, description="Of the archive: names a case that has no other name."),
    ] = None,
) -> _Asked:
    checked_name("project", name, longest=64)
    if layout != AUTO:
        catalogue.find("layout", layout)
    options = ImportOptions(
        masks=masks,
        merge=merge_labels,
        validation=validation,
        test=test,
        channels=tuple(channel or ()),
        seed=seed,
        plane=plane,
        trust_voxels=trust_voxels,
        images=images,
        labels=labels,
    )
    return _Asked(name, layout, options, filename)


async def _upload(
    request: Request, settings: CurrentSettings, asked: Annotated[_Asked, Depends(_asked)]
) -> AsyncIterator[_Upload]:
    """The body as a file: no more than one chunk of it is in memory."""
    folder = settings.transfers_folder.absolute() / uuid4().hex
    await run_in_threadpool(folder.mkdir, parents=True)
    upload = _Upload(folder, "")
    try:
        upload.digest = await _stream(request, folder / UPLOAD, settings)
        yield upload
    finally:
        if not upload.kept:
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


async def _stream(request: Request, path: Path, settings: Settings) -> str:
    limit, received, digest = settings.max_import_bytes, 0, hashlib.sha256()
    with path.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise BodyTooLarge(f"the archive has more than {limit} bytes, the limit")
            await run_in_threadpool(file.write, chunk)
            await run_in_threadpool(digest.update, chunk)
    return digest.hexdigest()


@router.post(
    "/{name}/imports",
    openapi_extra=_ARCHIVE,
    responses={202: {"model": TransferOut, "description": "Taken on, with `background`."}},
)
def import_archive(
    asked: Annotated[_Asked, Depends(_asked)],
    admin: MayImport,
    database: CurrentDatabase,
    upload: Annotated[_Upload, Depends(_upload)],
    runner: Runner,
    response: Response,
    check: Annotated[bool, Query(description="Only say what would come in; keep nothing.")] = False,
    background: Annotated[
        bool, Query(description="Answer 202 at once; follow it under /transfers.")
    ] = False,
) -> ImportOut | TransferOut:
    """Import a zip archive of a folder that `sfumato import` would take, or check it.

    A project that is not there is made. Cases that cannot be taken are named, the others are
    kept; the same archive again adds nothing.
    """
    options = asked.options.to_dict() | {"name": stem_of(asked.filename, upload.digest)}
    kind = TransferKind.CHECK if check else TransferKind.IMPORT
    with database.writing() as session:
        # Once more: the archive may have taken an hour to come in.
        transfers.allow_admin(session, admin, asked.project)
        transfer = transfers.ask(
            session, kind, asked.project, asked.layout, options, admin.account, str(upload.folder)
        )
        held = None if background else transfers.claim(session, transfer.id, database_now(session))
        shown = TransferOut.model_validate(transfers.view(session, transfer))
    upload.kept = True
    if held is None:
        response.status_code = 202
        runner.notify()
        return shown
    report = runner.perform(held)
    if report is None:
        with database.reading() as session:
            now = transfers.find_transfer(session, HERE, transfer.id)
            shown = TransferOut.model_validate(transfers.view(session, now))
        if shown.state is JobState.QUEUED:
            # This server ends: the next goes on with it.
            response.status_code = 202
            return shown
        raise InvalidInput("the import was cancelled: what came in by then stays")
    return ImportOut.model_validate(report)
