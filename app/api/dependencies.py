"""What endpoints declare in their signatures: sessions, accounts by role, bodies, settings."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from app.api.gate import Gate
from app.api.rates import Rates, address_of
from app.core.errors import NotAuthenticated
from app.dispatch import Dispatcher
from app.loop.accounts import authenticate, check_csrf, find_sign_in, require_role
from app.loop.projects import find_project
from app.map_drawer import MapDrawer
from app.settings import Settings
from app.store import Account, Database, Project, Role, utc_now
from app.transfers.runner import TransferRunner


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


CurrentSettings = Annotated[Settings, Depends(get_settings)]
CurrentDatabase = Annotated[Database, Depends(get_database)]
Runner = Annotated[TransferRunner, Depends(get_runner)]
Maps = Annotated[MapDrawer, Depends(get_maps)]
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


def _account(
    request: Request,
    database: CurrentDatabase,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: SessionCookie,
    csrf: CsrfToken = None,
) -> Account:
    # A browser sends its cookie whoever asks: what changes something must prove its page.
    if credentials is None and cookie is not None and request.method not in _SAFE:
        check_csrf(cookie, csrf)
    with database.reading() as session:
        if credentials is None:
            return _account_of(session, None, cookie)
        rates: Rates = request.app.state.rates
        with rates.checking(credentials.credentials, address_of(request)):
            return _account_of(session, credentials, None)


def _account_of(
    session: Session, credentials: HTTPAuthorizationCredentials | None, cookie: str | None
) -> Account:
    if credentials is not None:
        return authenticate(session, credentials.credentials)
    if cookie is None:
        raise NotAuthenticated("no token came with the request: send `Authorization: Bearer TOKEN`")
    return find_sign_in(session, cookie, utc_now()).token.account


def _account_again(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: SessionCookie,
) -> Callable[[Session], Account]:
    return lambda session: _account_of(session, credentials, cookie)


# For what goes on after the request was let in: raises `NotAuthenticated` once that is over.
AccountAgain = Annotated[Callable[[Session], Account], Depends(_account_again)]


@asynccontextmanager
async def _turn_to_write(request: Request, database: Database) -> AsyncIterator[Session]:
    gate: Gate = request.app.state.writer_gate
    async with gate.turn(), contextmanager_in_threadpool(database.writing()) as session:
        yield session


async def _writing(
    request: Request, database: CurrentDatabase, account: Annotated[Account, Depends(_account)]
) -> AsyncIterator[Session]:
    # After the account: whoever is nobody keeps no writer waiting.
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


# Declared before a session: whoever tries too often opens none.
SignInAttempt = Annotated[None, Depends(_sign_in_attempt, scope="function")]


def _with_role(role: Role) -> Callable[[Account], Account]:
    def check(account: Annotated[Account, Depends(_account)]) -> Account:
        require_role(account, role)
        return account

    return check


Annotator = Annotated[Account, Depends(_with_role(Role.ANNOTATOR))]
# Whoever has a token may look; what they are shown depends on who they are.
SignedIn = Annotator
Reviewer = Annotated[Account, Depends(_with_role(Role.REVIEWER))]
Admin = Annotated[Account, Depends(_with_role(Role.ADMIN))]


def lease_ttl(settings: CurrentSettings) -> timedelta:
    """How long a lease lasts."""
    return timedelta(minutes=settings.lease_minutes)


LeaseTtl = Annotated[timedelta, Depends(lease_ttl)]

ProjectName = Annotated[
    str | None,
    Query(alias="project", description="May be left out when there is only one."),
]


def _project_reading(session: Reading, name: ProjectName = None) -> Project:
    return find_project(session, name)


NamedProject = Annotated[Project, Depends(_project_reading, scope="function")]

Cursor = Annotated[int | None, Query(ge=0, lt=2**31, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page at the most.")]
DEFAULT_LIMIT = 50

# What an id in a path may be: what the database can hold.
LARGEST_ID = 2**31 - 1
