"""Starting the service or parts of it, and looking after its database."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.installation import DataOption, database_of, settings_of
from app.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.loop.retention import Due


def up(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0 for none.")] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start the whole service: database, broker, workers and server, until Ctrl-C."""
    from app import embedded
    from app.orphans import end_with_parent

    if parent is not None:
        end_with_parent(parent)
    embedded.run(settings_of(data, host=host, port=port, workers=workers))


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.")] = None,
) -> None:
    """Start one API process alone, on the database and broker of the environment."""
    from app import private
    from app.logs import configure_logs
    from app.main import create_app
    from app.serving import Server

    settings = settings_of(host=host, port=port)
    private.from_now_on()
    configure_logs(settings)
    _check_schema(settings)
    server = Server(create_app(settings), settings, seconds_to_stop=5)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(1)


def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface."""
    import json

    from app.main import create_app

    typer.echo(json.dumps(create_app(settings_of()).openapi(), indent=1))


def check() -> None:
    """Say whether database and broker of the environment answer (for health checks)."""
    from app.dispatch import broker_client
    from app.loop.status import check_ready
    from app.store import Database

    settings = settings_of()
    with Database(settings.effective_database_url).reading() as session:
        check_ready(session)
    if settings.broker_url is not None:
        broker_client(settings.broker_url, socket_timeout=5).ping()
    typer.echo("database and broker answer")


def worker(
    queues: Annotated[
        str, typer.Option(help="Comma-separated: train, score, benchmark.")
    ] = "train,score",
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start one worker on the database and broker of the environment."""
    from app import private
    from app.dispatch import BENCHMARK_QUEUE
    from app.loop.claims import QUEUES
    from app.orphans import end_with_parent
    from worker.tasks import run_worker, shut_broker_down

    chosen = tuple(name.strip() for name in queues.split(","))
    known = (*QUEUES, BENCHMARK_QUEUE)
    if not set(chosen) <= set(known):
        raise typer.BadParameter(f"queues are {', '.join(known)}")
    settings = settings_of()
    private.from_now_on()
    if parent is not None:
        end_with_parent(parent, lambda: shut_broker_down(settings))
    if set(chosen) & set(QUEUES):
        # A benchmark's runs know no database.
        _check_schema(settings)
    run_worker(settings, chosen)


def _check_schema(settings: Settings) -> None:
    """Refuse to work on an older schema; a database that is away may come later."""
    from sqlalchemy.exc import SQLAlchemyError

    from app.store import Database
    from app.store.migrate import check_schema

    database = Database(settings.effective_database_url)
    try:
        with suppress(SQLAlchemyError):
            check_schema(database)
    finally:
        database.dispose()


def tune(
    width: Annotated[int, typer.Option(min=2, max=128, help="Of the network that is timed.")] = 32,
    size: Annotated[
        int, typer.Option(min=16, max=4096, help="Pixels along a picture's side.")
    ] = 128,
    data: DataOption = None,
) -> None:
    """Measure once how this kind of machine computes fastest; its workers keep to it."""
    from rich.console import Console

    from worker.tuning import tune as measure

    settings = settings_of(data)
    measure(database_of(settings), settings, width, size, Console())


def migrate(data: DataOption = None) -> None:
    """Bring the database to the present schema."""
    settings = settings_of(data)
    database_of(settings)
    typer.echo(f"the database is up to date: {_without_password(settings)}")


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go; remove nothing.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Remove what was kept for long enough (SFUMATO_KEEP_…); the service does so by itself."""
    from app.loop.retention import due
    from app.retention import carry_out, keep_of
    from app.store import database_now

    settings = settings_of(data)
    database, keep = database_of(settings), keep_of(settings)
    if not keep:
        typer.echo("everything is kept: set SFUMATO_KEEP_SCORES_DAYS or the like to remove some")
    with database.reading() as session:
        now = database_now(session)
        found = due(session, keep, now)
        for one in found:
            typer.echo(f"{one.rows:>9} {one.kind}{_of_what(session, one)}")
    if dry_run:
        typer.echo(f"nothing is removed: {_in_total(found)} would be")
        return
    gone = carry_out(database, keep, now)
    typer.echo(f"removed: {gone.total()} rows")


def _of_what(session: "Session", one: "Due") -> str:
    from app.store import Project

    if one.project_id is None:
        return ""
    what = "round" if one.kind == "maps" else "model"
    return f" of {what} {one.number} of {session.get_one(Project, one.project_id).name}"


def _in_total(found: "list[Due]") -> str:
    return f"{sum(one.rows for one in found)} rows"


def _without_password(settings: Settings) -> str:
    from sqlalchemy import make_url

    return make_url(settings.effective_database_url).render_as_string(hide_password=True)


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.command()(up)
    cli.command()(serve)
    cli.command()(openapi)
    cli.command()(check)
    cli.command()(worker)
    cli.command()(tune)
    cli.command()(migrate)
    cli.command()(retention)
