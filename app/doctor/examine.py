"""All that the doctor looks at, in the order in which it is told."""

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy.orm import Session

from app.doctor import database as of_database
from app.doctor import work
from app.doctor.configuration import configuration
from app.doctor.finding import Finding, State, first_line, wrong
from app.doctor.folder import folder, pages
from app.doctor.service import broker, server
from app.doctor.versions import versions
from app.settings import Settings
from app.store import Database


def examine(settings: Settings) -> list[Finding]:
    """Everything that was found, well or not. Never raises, and changes nothing."""
    return [
        *_told("versions", versions),
        *_told("settings", lambda: configuration(settings)),
        *_told("data folder", lambda: folder(settings)),
        *_told("pages", pages),
        *_told("broker", lambda: broker(settings)),
        *_told("server", lambda: server(settings)),
        *_told("database", lambda: _database(settings)),
    ]


def _database(settings: Settings) -> Iterator[Finding]:
    absent = of_database.absent(settings)
    if absent is not None:
        yield absent
        return
    with of_database.looked_at(settings) as database:
        schema = of_database.schema(database)
        yield schema
        yield from _reading(database, "database", lambda s: of_database.engine(settings, s))
        yield from _reading(database, "clocks", lambda s: [of_database.clocks(s)])
        if schema.state is not State.OK:
            # Of tables that are not as we know them, nothing can be said.
            return
        yield of_database.writable(database)
        for about, look in (
            ("workers", work.workers),
            ("projects", work.projects),
            ("backups", work.backups),
            ("audit", work.audit),
        ):
            yield from _reading(database, about, look)


def _reading(
    database: Database, about: str, look: Callable[[Session], Iterable[Finding]]
) -> list[Finding]:
    def read() -> list[Finding]:
        with database.reading() as session:
            return list(look(session))

    return _told(about, read)


def _told(about: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look finds; where it fails, that is a finding, and the others go on."""
    try:
        return list(look())
    except Exception as error:  # nobody who asks what is wrong is helped by a traceback
        words = f"it could not be looked at ({type(error).__name__}: {first_line(error)})"
        return [wrong(about, words, "see what this names, and ask again")]
