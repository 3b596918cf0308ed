"""What endpoints declare in their signatures: sessions, accounts by role, bodies, settings."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Path, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from app.api.gate import Gate
from app.api.rates import Rates, address_of
from app.core.errors import NotAllowed, NotAuthenticated
from app.dispatch import Dispatcher
from app.loop.access import Reader, allow_installation
from app.loop.accounts import authenticate
from app.loop.projects import find_project
from app.loop.sign_ins import check_csrf, find_sign_in, reader_of
from app.loop.slices import find_slice
from app.map_drawer import MapDrawer
from app.seen import REFUSED, Seen
from app.settings import Settings
from app.store import Database, Project, Role, database_now
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
    # A browser sends its cookie whoever asks: what changes something must prove its page.
    if credentials is None and cookie is not None and request.method not in _SAFE:
        check_csrf(cookie, csrf)
    # What may change something finds no archived project: see ``EvenArchived`` for what may.
    changes = request.method not in _SAFE
    with database.reading() as session:
        if credentials is None:
            return replace(_reader_of(session, None, cookie), changes=changes)
        rates: Rates = request.app.state.rates
        with rates.checking(credentials.credentials, address_of(request)):
            try:
                return replace(_reader_of(session, credentials, None), changes=changes)
            except NotAuthenticated:
                seen.note(REFUSED, about={"by": "token"})
                raise


def _reader_of(
    session: Session, credentials: HTTPAuthorizationCredentials | None, cookie: str | None
) -> Reader:
    if credentials is not None:
        return authenticate(session, credentials.credentials)
    if cookie is None:
        raise NotAuthenticated("no token came with the request: send `Authorization: Bearer TOKEN`")
    return reader_of(find_sign_in(session, cookie, database_now(session)))


def _reader_again(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: SessionCookie,
) -> Callable[[Session], Reader]:
    return lambda session: _reader_of(session, credentials, cookie)


# For what goes on after the request was let in: raises `NotAuthenticated` once that is over.
ReaderAgain = Annotated[Callable[[Session], Reader], Depends(_reader_again)]


@asynccontextmanager
async def _turn_to_write(request: Request, database: Database) -> AsyncIterator[Session]:
    gate: Gate = request.app.state.writer_gate
    async with gate.turn(), contextmanager_in_threadpool(database.writing()) as session:
        yield session


async def _writing(
    request: Request, database: CurrentDatabase, reader: Annotated[Reader, Depends(_reader)]
) -> AsyncIterator[Session]:
    # After the reader: whoever is nobody keeps no writer waiting.
    async with _turn_to_write(request, database) as session:
        yield session


async def _writing_unknown(request: Request, database: CurrentDatabase) -> AsyncIterator[Session]:
    async with _turn_to_write(request, database) as session:
        yield session


# scope="function": the commit comes before the reply is sent, so that a 201 is never a lie.
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]
# For signing in and out alone: nobody is known yet, or any more.
WritingUnknown = Annotated[Session, Depends(_writing_unknown, scope="function")]


def _sign_in_attempt(request: Request) -> Iterator[None]:
    rates: Rates = request.app.state.rates
    with rates.signing_in(address_of(request)):
        yield


def own_origin(request: Request, settings: CurrentSettings) -> str:
    """Where browsers find this, without a path."""
    return (settings.public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def _own_page(request: Request, settings: CurrentSettings) -> None:
    # Else another site's page could sign a browser in as somebody else, who then sees what is
    # drawn (login CSRF): there is no session yet whose CSRF token would keep it out. Browsers
    # send the one header over TLS and to this machine, the other always; programs send neither.
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        # Hosts alone: a proxy that ends TLS may not have told us of it.
        names = {request.url.netloc, urlsplit(settings.public_url or "").netloc} - {""}
        ours = urlsplit(origin).netloc in names
    else:
        ours = True
    if not ours:
        raise NotAllowed(
            "this was sent by a page of another site: sign in on Sfumato's own page; if this is "
            "it, an admin sets SFUMATO_PUBLIC_URL to its address"
        )


# For what signs a browser in.
OwnPage = Annotated[None, Depends(_own_page)]


# Declared before a session: whoever tries too often opens none.
SignInAttempt = Annotated[None, Depends(_sign_in_attempt, scope="function")]


# Whoever asks. What they may see and do is said by the finder of what they ask for: `loop/access`.
SignedIn = Annotated[Reader, Depends(_reader)]


def _even_archived(reader: SignedIn) -> Reader:
    return replace(reader, changes=False)


def _changing(reader: SignedIn) -> Reader:
    return replace(reader, changes=True)


# For what is no `GET` and may be done with an archived project too: it is exported and deleted, and
# who may read it is decided.
EvenArchived = Annotated[Reader, Depends(_even_archived)]
# For a `GET` that changes something.
Changing = Annotated[Reader, Depends(_changing)]


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
