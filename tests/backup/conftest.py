import uuid

import pytest

from app.store import Database
from tests.conftest import _admin, _with_name


@pytest.fixture
def fresh(request, tmp_path):
    """Makes databases in which there is nothing, no table either: `fresh("sqlite")`."""
    made, names = [], []

    def make(engine: str) -> Database:
        name = f"fresh_{uuid.uuid4().hex}"
        url = f"sqlite:///{tmp_path / name}.db"
        if engine == "postgresql":
            server = request.getfixturevalue("postgres_server")
            _admin(server, f"CREATE DATABASE {name}")
            names.append(name)
            url = _with_name(server, name)
        made.append(Database(url, lock_timeout_seconds=5))
        return made[-1]

    yield make
    for database in made:
        database.dispose()
    for name in names:
        _admin(request.getfixturevalue("postgres_server"), f"DROP DATABASE {name} WITH (FORCE)")
