"""What endpoints declare in their signatures: sessions, accounts by role, bodies, settings."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from app.api.gate import WriterGate
from app.core.errors import BodyTooLarge, NotAuthenticated
from app.core.pixels import decode_picture, decode_upload
from app.core.prepared import PreparedImage, PreparedMask, prepare_image, prepare_mask
from app.dispatch import Dispatcher
from app.loop.access import Reader, allow_installation
from app.loop.accounts import authenticate
from app.loop.projects import find_project
from app.loop.sign_ins import check_csrf, find_sign_in, reader_of
from app.loop.slices import find_slice
from app.map_drawer import MapDrawer
from app.seen import REFUSED, Seen
from app.settings import Settings
from app.store import Database, Project, Role, utc_now
from app.transfers.runner import TransferRunner

# What an id in a path may be: what the database can hold.
LARGEST_ID = 2**31 - 1


def get_settings(request: Request) -> Settings:
    """The installation's settings."""
    settings: Settings = request.app.state.settings
    return settings


def get_database(request: Request) -> Database:
    """The application's database."""
    database: Database = request.app.state.database
    return database


def get_dispatcher(request: Request) -> Dispatcher:
    """What tells workers to look for jobs."""
    dispatcher: Dispatcher = request.app.state.dispatcher
    return dispatcher


def get_runner(request: Request) -> TransferRunner:
    """What runs imports and exports on this server."""
    runner: TransferRunner = request.app.state.transfers
    return runner


def get_maps(request: Request) -> MapDrawer:
    """What draws maps of pools on this server."""
    drawer: MapDrawer = request.app.state.maps
    return drawer


def get_seen(request: Request) -> Seen:
    """What notes for the audit trail who looks at what."""
    seen: Seen = request.app.state.seen
    return seen


CurrentSettings = Annotated[Settings, Depends(get_settings)]
CurrentDatabase = Annotated[Database, Depends(get_database)]
Runner = Annotated[TransferRunner, Depends(get_runner)]
Maps = Annotated[MapDrawer, Depends(get_maps)]
Looks = Annotated[Seen, Depends(get_seen)]
Workers = Annotated[Dispatcher, Depends(get_dispatcher)]


def _reading(database: CurrentDatabase) -> Iterator[Session]:
    with database.reading() as session:
        yield session


async def _writing(request: Request, database: CurrentDatabase) -> AsyncIterator[Session]:
    gate: WriterGate = request.app.state.writer_gate
    async with gate.turn(), contextmanager_in_threadpool(database.writing()) as session:
        yield session


# scope="function": the commit comes before the reply is sent, so that a 201 is never a lie.
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]

_bearer = HTTPBearer(auto_error=False, description="A token of `sfumato token create`.")


COOKIE = "sfumato_session"
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by `POST /session`.")
SessionCookie = Annotated[str | None, Depends(_cookie)]
CsrfToken = Annotated[
    str | None, Header(alias="X-CSRF-Token", description="With a cookie: `csrf` of /session.")
]
_SAFE = ("GET", "HEAD", "OPTIONS")


def _reader(
    request: Request,
    database: CurrentDatabase,
    seen: Looks,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: SessionCookie,
    csrf: CsrfToken = None,
) -> Reader:
    with database.reading() as session:
        if credentials is not None:
            try:
                return authenticate(session, credentials.credentials)
            except NotAuthenticated:
                seen.note(REFUSED)
                raise
        if cookie is None:
            raise NotAuthenticated(
                "no token came with the request: send `Authorization: Bearer TOKEN`"
            )
        # A browser sends its cookie whoever asks: what changes something must prove its page.
        if request.method not in _SAFE:
            check_csrf(cookie, csrf)
        return reader_of(find_sign_in(session, cookie, utc_now()))


# Whoever asks. What they may see and do is said by the finder of what they ask for: `loop/access`.
SignedIn = Annotated[Reader, Depends(_reader)]


def _of_installation(reader: SignedIn) -> Reader:
    allow_installation(reader)
    return reader


InstallationAdmin = Annotated[Reader, Depends(_of_installation)]


def _project_admin(
    name: Annotated[str, Path(max_length=200)], reader: SignedIn, database: CurrentDatabase
) -> Reader:
    with database.reading() as session:
        find_project(session, reader, name, Role.ADMIN)
    return reader


def _may_draw(
    slice_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    reader: SignedIn,
    database: CurrentDatabase,
) -> Reader:
    with database.reading() as session:
        find_slice(session, reader, slice_id, Role.ANNOTATOR)
    return reader


# Declared before a body: who may not send it is told so before a byte of it is read.
ProjectAdmin = Annotated[Reader, Depends(_project_admin)]
MayDraw = Annotated[Reader, Depends(_may_draw)]


async def read_body(request: Request, settings: CurrentSettings) -> bytes:
    """The raw body, refused as soon as it is known to be too large."""
    limit = settings.max_upload_bytes
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"the body has {announced} bytes, the limit is {limit}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes, the limit")
    return bytes(body)


Body = Annotated[bytes, Depends(read_body)]


@dataclass(frozen=True)
class Picture:
    """An uploaded picture: its planes, one of grey or three of colour, encoded to be kept."""

    planes: list[PreparedImage]


def _picture(body: Body, settings: CurrentSettings) -> Picture:
    planes = decode_picture(body, settings.max_image_pixels)
    return Picture([prepare_image(plane, upload=body) for plane in planes])


def _drawn(body: Body, settings: CurrentSettings) -> PreparedMask:
    return prepare_mask(decode_upload(body, settings.max_image_pixels), upload=body)


# Declared before a session in a signature: decoding and encoding take no part in a transaction.
PictureBody = Annotated[Picture, Depends(_picture)]
MaskBody = Annotated[PreparedMask, Depends(_drawn)]


def lease_ttl(settings: CurrentSettings) -> timedelta:
    """How long a lease lasts."""
    return timedelta(minutes=settings.lease_minutes)


LeaseTtl = Annotated[timedelta, Depends(lease_ttl)]

ProjectName = Annotated[
    str | None,
    Query(alias="project", description="May be left out when there is only one."),
]


def _project_reading(session: Reading, reader: SignedIn, name: ProjectName = None) -> Project:
    return find_project(session, reader, name, Role.VIEWER)


NamedProject = Annotated[Project, Depends(_project_reading, scope="function")]

Cursor = Annotated[int | None, Query(ge=0, lt=2**31, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page at the most.")]
DEFAULT_LIMIT = 50
