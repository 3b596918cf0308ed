"""Imports and exports: watched, cancelled, looked up afterwards."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Depends
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from app.api.dependencies import (
    DEFAULT_LIMIT,
    CurrentDatabase,
    CurrentSettings,
    Cursor,
    EvenArchived,
    Limit,
    Reading,
    SignedIn,
    Writing,
)
from app.api.event_streams import Stream
from app.api.images import Id
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.base import Page, page_of
from app.api.schemas.transfers import TransferOut
from app.core.errors import NotFound
from app.loop import transfers
from app.loop.access import HERE
from app.store import TransferKind
from app.transfers.archives import ARCHIVE

router = Router(tags=["transfers"])


@router.get("/projects/{name}/transfers")
def list_transfers(
    name: Name,
    session: Reading,
    admin: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TransferOut]:
    """Imports and exports of a project, newest first; also those of the command line."""
    return page_of(TransferOut, transfers.list_transfers(session, admin, name, cursor, limit))


@router.get("/transfers/{transfer_id}")
def show(transfer_id: Id, session: Reading, admin: SignedIn) -> TransferOut:
    """An import or export with its whole report."""
    found = transfers.find_transfer(session, admin, transfer_id)
    return TransferOut.model_validate(transfers.view(session, found))


@router.post("/transfers/{transfer_id}/cancel", status_code=202)
def cancel(transfer_id: Id, session: Writing, admin: EvenArchived) -> TransferOut:
    """Stop it at its next step; what came in by then stays."""
    found = transfers.request_cancel(session, admin, transfer_id)
    return TransferOut.model_validate(transfers.view(session, found))


@router.get(
    "/transfers/{transfer_id}/archive",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def archive(
    transfer_id: Id, database: CurrentDatabase, settings: CurrentSettings, admin: SignedIn
) -> FileResponse:
    """The zip archive of an export that is done; it is kept for a while (`keep_exports_days`)."""
    with database.reading() as session:
        found = transfers.find_transfer(session, admin, transfer_id)
    path = None if found.folder is None else FilePath(found.folder) / ARCHIVE
    if found.kind is not TransferKind.EXPORT or path is None or not path.is_file():
        raise NotFound(
            f"there is no archive of {found.kind} {transfer_id}: it is {found.state}; archives "
            f"are kept for {settings.keep_exports_days:g} days, where they were made"
        )
    with database.writing() as session:
        transfers.note_fetched(session, admin, transfer_id)
    return FileResponse(path, media_type="application/zip", filename=f"{found.project}.zip")


def _existing(transfer_id: Id, session: Reading, admin: SignedIn) -> int:
    return transfers.find_transfer(session, admin, transfer_id).id


@router.get("/transfers/{transfer_id}/events", response_class=EventSourceResponse)
async def events(
    transfer_id: Annotated[int, Depends(_existing, scope="function")],
    stream: Stream,
) -> AsyncIterator[ServerSentEvent]:
    """Its progress as server-sent events, one a change, until it has ended."""
    look = partial(_look, transfer_id=transfer_id)
    check = partial(transfers.find_transfer, which=transfer_id)
    async for change in stream.follow("transfer", transfer_id, look, check):
        yield change


def _look(session: Session, transfer_id: int) -> TransferOut:
    found = transfers.find_transfer(session, HERE, transfer_id)
    return TransferOut.model_validate(transfers.view(session, found))
