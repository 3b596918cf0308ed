"""A project's data set over HTTP, out."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import uuid4

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse

from app.api.dependencies import (
    CurrentDatabase,
    CurrentSettings,
    EvenArchived,
    ProjectAdmin,
    Runner,
)
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.transfers import TransferOut
from app.exporting import ExportOptions, stream_project
from app.formats.writer import find_writer
from app.loop import transfers
from app.loop.audit import record
from app.loop.chosen_masks import Selection
from app.loop.projects import find_project
from app.store import Role, TransferKind

router = Router(prefix="/projects", tags=["transfers"])


def _options(
    format_: Annotated[
        str, Query(alias="format", max_length=64, description="A writer of the catalogue.")
    ] = "decathlon",
    only: Annotated[
        Literal["accepted"] | None, Query(description="Only masks that a reviewer accepted.")
    ] = None,
    round_: Annotated[
        int | None,
        Query(alias="round", ge=0, lt=2**31, description="Only slices that it asked for."),
    ] = None,
    reader: Annotated[
        str | None, Query(max_length=128, description="This account's masks, not the labels.")
    ] = None,
    all_readings: Annotated[
        bool, Query(description="Each annotator's masks too, side by side with the labels.")
    ] = False,
    licence: Annotated[
        str | None, Query(max_length=500, description="For the card: an address or words.")
    ] = None,
) -> ExportOptions:
    find_writer(format_)
    masks = Selection(only=only, round=round_, reader=reader, all_readings=all_readings)
    return ExportOptions(format_, masks, licence=licence)


Options = Annotated[ExportOptions, Depends(_options)]


@router.get(
    "/{name}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export(
    name: Name,
    admin: ProjectAdmin,
    database: CurrentDatabase,
    options: Options,
) -> StreamingResponse:
    """Images, labels, the current model and a card of how they came about, as a zip archive.

    It is sent while it is written, a case at a time; what could not go out is named in its
    export-report.json.
    """
    with database.writing() as session:
        project = find_project(session, admin, name, Role.ADMIN)
        record(session, "export.sent", admin.account, project.id, **options.to_dict())
    archive = stream_project(database, name, options)
    # What is wrong is said before the first byte, while it can still be an answer of its own.
    whole: Iterator[bytes] = chain([next(archive)], archive)
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}.zip"}
    return StreamingResponse(whole, media_type="application/zip", headers=headers)


@router.post("/{name}/exports", status_code=202)
def ask(
    name: Name,
    admin: EvenArchived,
    database: CurrentDatabase,
    settings: CurrentSettings,
    runner: Runner,
    options: Options,
) -> TransferOut:
    """The same in the background, for large projects: followed and fetched under /transfers."""
    with database.reading() as session:
        find_project(session, admin, name, Role.ADMIN)
    folder = settings.transfers_folder.absolute() / uuid4().hex
    folder.mkdir(parents=True)
    with database.writing() as session:
        project = find_project(session, admin, name, Role.ADMIN)
        transfer = transfers.ask(
            session,
            TransferKind.EXPORT,
            project.name,
            options.format,
            options.to_dict(),
            admin.account,
            str(folder),
        )
        shown = TransferOut.model_validate(transfers.view(session, transfer))
    runner.notify()
    return shown
