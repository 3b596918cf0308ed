"""What the doctor says of an installation: in words, on both engines, and never by a traceback."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import make_url, text

from app.doctor import database as of_database
from app.doctor import folder as of_folder
from app.doctor.configuration import configuration
from app.doctor.examine import examine
from app.doctor.finding import Finding, State
from app.doctor.service import broker, server
from app.loop import capabilities, claims
from app.loop.audit import record
from app.observing.disk import Room
from app.settings import Settings
from app.store import Database, Event, Job, JobState, Project, utc_now
from app.store.audit import BACKUP_MADE
from tests.e2e.test_migrations import downgrade
from tests.loop.test_leases import make_pool

HOUR = timedelta(hours=1)
CAN_ALL = {"strategy": {"entropy-selective": None}, "network": {"unet": None}, "recipe": {}}


@pytest.fixture
def settings(database_url, tmp_path) -> Settings:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return Settings(data=folder, database_url=database_url, lock_timeout_seconds=0.5)


def about(found, subject: str) -> list[Finding]:
    return [one for one in found if one.about == subject]


def worst(found, subject: str) -> Finding:
    """The line about a subject that says that something is the matter."""
    [one] = [one for one in about(found, subject) if one.state is not State.OK]
    assert one.advice
    return one


def report(database, name="w", can=CAN_ALL, now=None) -> None:
    with database.writing() as session:
        capabilities.report_worker(session, name, claims.QUEUES, can, now or utc_now())


def test_of_an_installation_that_is_well_nothing_is_wrong(database, settings):
    make_pool(database)
    report(database)
    with database.writing() as session:
        record(session, BACKUP_MADE, None)
    found = examine(settings)
    # Disk and pages are this machine's.
    matters = {one.about for one in found if one.state is not State.OK}
    assert matters <= {"disk", "pages"}
    subjects = {"versions", "settings", "network", "broker", "schema", "database", "clocks"}
    assert subjects | {"data folder", "workers", "backups"} <= {one.about for one in found}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{folder}/none.db",
        "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "postgresql+nothing://x/y",
        "nonsense",
    ],
)
def test_a_database_that_is_not_there_is_one_line_and_is_not_made(tmp_path, url):
    found = examine(Settings(data=tmp_path, database_url=url.format(folder=tmp_path)))
    [one] = about(found, "database")
    assert (one.state, bool(one.advice)) == (State.WRONG, True)
    assert not about(found, "workers")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "sfumato.db").write_text("no database at all, whatever its name says" * 100)
    assert worst(examine(Settings(data=tmp_path)), "database").state is State.WRONG


def test_a_schema_of_another_version_is_told_and_left_alone(database, settings):
    report(database)
    downgrade(database, "0012")
    found = examine(settings)
    assert "0012" in worst(found, "schema").words
    assert "sfumato migrate" in worst(found, "schema").advice
    # Nothing is said of tables that may be others.
    assert not about(found, "workers")
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer" in worst(examine(settings), "schema").advice
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    assert "empty" in worst(examine(settings), "schema").words


def test_a_database_that_takes_nothing_is_wrong(database, settings):
    if database.engine.dialect.name == "sqlite":
        with database.writing() as session:
            # Begun, and not ended: the lock is held.
            session.execute(text("SELECT 1"))
            found = examine(settings)
    else:
        name = make_url(settings.database_url).database
        with database.engine.begin() as connection:
            connection.execute(
                text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            )
        found = examine(settings)
    assert "cannot be written" in worst(found, "database").words


def test_jobs_that_nobody_will_do_and_projects_that_stand_still(database, settings):
    project = make_pool(database)
    with database.writing() as session:
        session.add(Job(project_id=project.id, kind="retrain", queue="train", step="train"))
    lines = {one.words: one.state for one in about(examine(settings), "workers")}
    assert lines == {
        "none serves the queue train, and jobs wait there": State.WRONG,
        "none serves the queue score": State.WARNING,
    }
    with database.writing() as session:
        claims.end(session.query(Job).one(), JobState.FAILED, "Traceback …\nMemoryError: too much")
    one = worst(examine(settings), "projects")
    assert "p stands still" in one.words
    assert "MemoryError: too much" in one.words


def test_what_projects_ask_for_and_no_worker_can_load(database, settings):
    make_pool(database)
    report(database, can={**CAN_ALL, "network": {"unet": "no torch", "dynunet": "no monai"}})
    lines = {one.words: one.state for one in about(examine(settings), "workers")}
    assert lines["no worker can load the network unet (no torch), which p asks for"] == "wrong"
    assert lines["no worker can load the network dynunet (no monai)"] == "warning"


def test_backups_that_are_missing_or_have_ended(database, settings):
    assert not about(examine(settings), "backups")
    make_pool(database)
    assert worst(examine(settings), "backups").state is State.WARNING
    with database.writing() as session:
        session.add(Event(action=BACKUP_MADE, detail={}, at=utc_now() - 72 * HOUR))
    one = worst(examine(settings), "backups")
    assert (one.state, one.words) == (State.WRONG, "the newest was made 72 hours ago")


def test_clocks_that_do_not_agree(database, settings, monkeypatch):
    monkeypatch.setattr(of_database.facts, "clock", lambda session: utc_now() - HOUR)
    one = worst(examine(settings), "clocks")
    assert one.state is State.WRONG
    assert "behind this machine's" in one.words


def test_postgresqls_own_limits_that_cut_workers_off(database, settings):
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has none")
    name = make_url(settings.database_url).database
    with database.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE \"{name}\" SET statement_timeout = '30s'"))
    assert "statement_timeout = 30 s" in worst(examine(settings), "database").words


def test_sqlite_on_a_network_file_system(sqlite_database, tmp_path, monkeypatch):
    path = Path(sqlite_database.engine.url.database)
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(path.parent.resolve()), fstype="nfs4"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    found = examine(Settings(data=tmp_path, database_url=str(sqlite_database.engine.url)))
    assert "network file system (nfs4)" in worst(found, "database").words


def test_who_may_look_into_the_data_folder(tmp_path):
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    settings.data.chmod(0o755)
    settings.admin_token_file.write_text("sfu_1_x")
    settings.admin_token_file.chmod(0o644)
    found = list(of_folder.folder(settings))
    assert worst(found, "data folder").advice == f"run chmod o-rwx {settings.data}"
    assert worst(found, "admin's token").state is State.WRONG
    settings.data.chmod(0o750)
    settings.admin_token_file.chmod(0o600)
    found = list(of_folder.folder(settings))
    assert [one.state for one in about(found, "data folder")] == [State.OK]
    assert not about(found, "admin's token")


@pytest.mark.parametrize(
    ("room", "state", "lines"),
    [
        (Room(500 * 2**30, 1000 * 2**30, None, None), State.OK, 1),
        (Room(500 * 2**30, 1000 * 2**30, 100, 1000), State.OK, 1),
        (Room(50 * 2**30, 1000 * 2**30, 100, 1000), State.WARNING, 1),
        (Room(2**29, 10 * 2**30, None, None), State.WRONG, 1),
        (Room(500 * 2**30, 1000 * 2**30, 1, 1000), State.WRONG, 2),
        (Room(0, 0, None, None), State.WRONG, 1),
    ],
)
def test_a_disk_that_fills(tmp_path, monkeypatch, room, state, lines):
    monkeypatch.setattr(of_folder, "room", lambda folder: room)
    found = about(of_folder.folder(Settings(data=tmp_path)), "disk")
    assert len(found) == lines
    assert state in [one.state for one in found]


@pytest.mark.parametrize(
    ("given", "words", "state"),
    [
        ({"heartbeat_seconds": 10}, "taken for dead after 15 s", "wrong"),
        ({"lock_timeout_seconds": 20}, "may wait 20 s", "warning"),
        ({"dicomweb_user": "x"}, "only one is set", "wrong"),
        ({"dicomweb_user": "x", "dicomweb_password": "y", "dicomweb_token": "z"}, "both", "wrong"),
        ({"encoder_weights": "/no/such/folder"}, "no folder", "wrong"),
        ({"oidc_groups_claim": "g", "oidc_roles": {"a": "chief"}}, "the group 'a'", "wrong"),
        ({"host": "0.0.0.0"}, "plain HTTP", "warning"),
        ({"host": "0.0.0.0", "metrics_open": True}, "may read /metrics", "warning"),
        ({"broker_url": "redis://:secret@far.example/0"}, "SQLite file", "warning"),
    ],
)
def test_settings_that_cannot_be_meant(given, words, state):
    found = list(configuration(Settings(**given)))
    [one] = [one for one in found if words in one.words]
    assert one.state == state
    assert one.advice
    assert "secret" not in str(found)


def test_a_setting_that_is_mistyped_is_named(monkeypatch):
    monkeypatch.setenv("SFUMATO_LEASE_MINUTS", "5")
    assert "SFUMATO_LEASE_MINUTS" in worst(configuration(Settings()), "settings").words


def test_a_broker_answers_or_is_named_without_its_password(valkey_url):
    [well] = broker(Settings(broker_url=valkey_url))
    assert well.state is State.OK
    for url in ("redis://:secret@127.0.0.1:9/0", "nonsense://:secret@x", "secret"):
        [one] = broker(Settings(broker_url=url))
        assert one.state is State.WRONG
        assert "secret" not in one.words


def test_a_service_that_was_killed_is_no_service(tmp_path):
    settings = Settings(data=tmp_path)
    assert not list(server(settings))
    for left in ('{"url": "http://127.0.0.1:9", "pid": 1}', "{}", "half of"):
        settings.server_file.write_text(left)
        [one] = server(settings)
        assert one.state is State.WARNING


def test_what_cannot_be_looked_at_is_a_line_and_the_others_are_told(
    database, settings, monkeypatch
):
    def fail(*_: object) -> None:
        raise RuntimeError("of this kind\nnobody has thought")

    monkeypatch.setattr("app.doctor.work.workers", fail)
    monkeypatch.setattr("app.doctor.folder.room", fail)
    found = examine(settings)
    for subject in ("workers", "data folder"):
        assert "RuntimeError: of this kind)" in worst(found, subject).words
    assert about(found, "schema")


def test_nothing_is_changed(database, settings):
    def rows() -> dict:
        with database.engine.connect() as connection:
            return {
                table.name: connection.execute(table.select()).all()
                for table in Project.metadata.sorted_tables
            }

    make_pool(database, slices=1)
    before = rows()
    examine(settings)
    assert rows() == before
    assert not list(settings.data.iterdir())


def test_the_database_is_not_kept_open(database_url, settings, monkeypatch):
    kept = []
    disposed = Database.dispose

    def dispose(self) -> None:
        kept.append(self)
        disposed(self)

    monkeypatch.setattr(Database, "dispose", dispose)
    examine(settings)
    assert len(kept) == 2
