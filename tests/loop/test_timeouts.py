"""Nobody waits for ever for somebody else's lock, and nobody holds one for ever."""

import threading
import time

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.core.project_settings import ProjectSettings
from app.loop.projects import create_project
from app.store import Database, Project


def test_a_writer_gives_up_on_a_lock_that_another_holds(database_url):
    holder, hurried = (Database(database_url, lock_timeout_seconds=s) for s in (30, 0.3))
    with holder.writing() as session:
        create_project(session, "held", ProjectSettings())
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with holder.writing() as session:
            session.scalars(select(Project).with_for_update()).all()
            begun.set()
            over.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(30)
    started = time.monotonic()
    with pytest.raises(OperationalError), hurried.writing() as session:
        session.scalars(select(Project).with_for_update()).all()
    # A generous bound on a busy machine: without a time-out it would wait for the thread.
    assert time.monotonic() - started < 20
    over.set()
    thread.join()
    with hurried.writing() as session:
        assert session.scalars(select(Project).with_for_update()).all()
    for one in (holder, hurried):
        one.dispose()


def test_time_outs_are_of_writers_alone_and_end_with_them(database):
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer, and its time-out is the driver's")
    ask = text("SHOW idle_in_transaction_session_timeout")
    with database.writing() as session:
        assert session.scalar(ask) == "1min"
        assert session.scalar(text("SHOW statement_timeout")) == "2min"
    with database.reading() as session:
        assert session.scalar(ask) == "0"

    def fall_asleep() -> None:
        with database.writing() as session:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 200"))
            time.sleep(1)
            session.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError):
        fall_asleep()
