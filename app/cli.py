"""`sfumato …`: the composition root. Commands import what they need when they run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from app.core.errors import SfumatoError
from app.settings import Settings

if TYPE_CHECKING:
    from app.loop.importing import Masks
    from app.store import Database, Role

cli = typer.Typer(
    help="Sfumato asks experts only for the masks that teach the model most.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
tokens = typer.Typer(help="Make, list and revoke tokens.", no_args_is_help=True)
projects = typer.Typer(help="Make and list projects.", no_args_is_help=True)
cli.add_typer(tokens, name="token")
cli.add_typer(projects, name="project")

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder of the service [SFUMATO_DATA]."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="e.g. query.size=20 or training.width=8"),
]


def main() -> None:
    """Run a command; our own errors are told in one line, without a traceback."""
    try:
        cli()
    except SfumatoError as error:
        typer.secho(f"sfumato: {error}", fg="red", err=True)
        sys.exit(1)


def _settings(data: Path | None = None, **changes: Any) -> Settings:
    settings = Settings()
    given = {name: value for name, value in changes.items() if value is not None}
    if data is not None:
        given["data"] = data
    return Settings.model_validate({**settings.model_dump(), **given})


def _database(settings: Settings) -> "Database":
    """The database, brought to the present schema."""
    from app.store import Database
    from app.store.migrate import migrate

    settings.data.mkdir(parents=True, exist_ok=True)
    database = Database(settings.effective_database_url, settings.lock_timeout_seconds)
    migrate(database)
    return database


@cli.command()
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
    embedded.run(_settings(data, host=host, port=port, workers=workers))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.")] = None,
) -> None:
    """Start one API process alone, on the database and broker of the environment."""
    import uvicorn

    from app.logs import configure_logs
    from app.main import create_app

    settings = _settings(host=host, port=port)
    configure_logs(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface."""
    import json

    from app.main import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=1))


@cli.command()
def check() -> None:
    """Say whether database and broker of the environment answer (for health checks)."""
    from redis import Redis

    from app.loop.status import check_ready
    from app.store import Database

    settings = _settings()
    with Database(settings.effective_database_url).reading() as session:
        check_ready(session)
    if settings.broker_url is not None:
        Redis.from_url(settings.broker_url, socket_timeout=5).ping()
    typer.echo("database and broker answer")


@cli.command()
def worker(
    queues: Annotated[
        str, typer.Option(help="Comma-separated: train, score, benchmark.")
    ] = "train,score",
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start one worker on the database and broker of the environment."""
    from app.dispatch import BENCHMARK_QUEUE
    from app.loop.claims import QUEUES
    from app.orphans import end_with_parent
    from worker.tasks import run_worker, shut_broker_down

    chosen = tuple(name.strip() for name in queues.split(","))
    known = (*QUEUES, BENCHMARK_QUEUE)
    if not set(chosen) <= set(known):
        raise typer.BadParameter(f"queues are {', '.join(known)}")
    settings = _settings()
    if parent is not None:
        end_with_parent(parent, lambda: shut_broker_down(settings))
    run_worker(settings, chosen)


@cli.command()
def migrate(data: DataOption = None) -> None:
    """Bring the database to the present schema."""
    settings = _settings(data)
    _database(settings)
    typer.echo(f"the database is up to date: {_without_password(settings)}")


def _without_password(settings: Settings) -> str:
    from sqlalchemy import make_url

    return make_url(settings.effective_database_url).render_as_string(hide_password=True)


@tokens.command("create")
def token_create(
    role: Annotated[str, typer.Option(help="annotator, reviewer or admin")],
    name: Annotated[str, typer.Option(help="Whose token it is.")],
    data: DataOption = None,
) -> None:
    """Make a token and print it. It is shown this once: only its hash is kept."""
    from app.loop.access import create_token

    with _database(_settings(data)).writing() as session:
        token = create_token(session, name, _role(role))
    typer.echo(token)


def _role(name: str) -> "Role":
    from app.store import Role

    try:
        return Role(name)
    except ValueError as error:
        raise typer.BadParameter(f"a role is one of {', '.join(Role)}") from error


@tokens.command("list")
def token_list(data: DataOption = None) -> None:
    """List the tokens by number; the tokens themselves are not kept."""
    from app.loop.access import list_tokens

    with _database(_settings(data)).reading() as session:
        for token in list_tokens(session):
            state = f"revoked {token.revoked_at:%Y-%m-%d %H:%M}" if token.revoked_at else "valid"
            made = f"{token.created_at:%Y-%m-%d %H:%M}"
            typer.echo(
                f"{token.id:>4}  {token.account.name:<20} {token.account.role:<10} {made}  {state}"
            )


@tokens.command("revoke")
def token_revoke(number: int, data: DataOption = None) -> None:
    """Revoke a token by its number."""
    from app.loop.access import revoke_token

    with _database(_settings(data)).writing() as session:
        token = revoke_token(session, number)
        typer.echo(f"token {token.id} of {token.account.name} is revoked")


@projects.command("create")
def project_create(
    name: str,
    classes: Annotated[str, typer.Option(help="Comma-separated, background first.")],
    assignments: SetOption = None,
    data: DataOption = None,
) -> None:
    """Make a project."""
    from app.core.project_settings import ProjectSettings, with_assignments
    from app.loop.projects import create_project

    settings = ProjectSettings(classes=[c.strip() for c in classes.split(",")])
    with _database(_settings(data)).writing() as session:
        create_project(session, name, with_assignments(settings, assignments or []))
    typer.echo(f"project {name} is made")


@cli.command("import")
def import_(
    layout: Annotated[str, typer.Argument(help="msd, brats, nifti, dicom or png")],
    path: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    project: Annotated[str, typer.Option(help="Made if it is not there.")],
    with_masks: Annotated[
        str | None,
        typer.Option(help="pool: masks become labels; oracle: hidden, for simulated annotators."),
    ] = None,
    merge_labels: Annotated[
        bool, typer.Option(help="One foreground class of all; otherwise they are kept.")
    ] = False,
    validation: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    test: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    channel: Annotated[int | None, typer.Option(help="Of the fourth dimension.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    assignments: SetOption = None,
    data: DataOption = None,
) -> None:
    """Import a data set, a case at a time; run again after an interruption, it goes on."""
    from app.importing import ImportOptions, import_data_set

    options = ImportOptions(
        masks=cast("Masks | None", with_masks),
        merge=merge_labels,
        validation=validation,
        test=test,
        channel=channel,
        seed=seed,
        assignments=assignments or [],
    )
    import_data_set(_database(_settings(data)), layout, path, project, options)


@cli.command()
def phantom(
    folder: Path,
    cases: Annotated[int, typer.Option(min=1)] = 48,
    slices: Annotated[int, typer.Option(min=3)] = 20,
    size: Annotated[int, typer.Option(min=32)] = 64,
    seed: int = 0,
    layout: Annotated[str, typer.Option(help="msd, or png for single pictures")] = "msd",
) -> None:
    """Write a synthetic data set: no anatomy, no patient, for trying things out."""
    from app.formats.phantom import write_phantom, write_phantom_pictures

    writers = {"msd": write_phantom, "png": write_phantom_pictures}
    if layout not in writers:
        raise typer.BadParameter(f"the layout is one of {', '.join(writers)}")
    writers[layout](folder, cases, slices, size, seed)
    typer.echo(f"{cases} cases of {slices} slices at {size} × {size} are in {folder}")


@cli.command()
def simulate(
    project: Annotated[str, typer.Option()],
    rounds: Annotated[int, typer.Option(min=1, help="Retrainings to see.")] = 5,
    annotators: Annotated[int, typer.Option(min=1)] = 2,
    budget: Annotated[int | None, typer.Option(min=1, help="Labels at the most.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Mean time to draw one mask.")] = 0.0,
    skip_rate: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    error_rate: Annotated[float, typer.Option(min=0, max=1, help="Masks drawn wrongly.")] = 0.0,
    seed: int = 0,
    url: Annotated[
        str | None, typer.Option(help="Of the server; read from the data folder.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Picture of the curve.")] = Path("learning-curve.png"),
    data: DataOption = None,
) -> None:
    """Simulated annotators over HTTP, answering from the hidden masks."""
    from worker.simulation.annotators import Behaviour
    from worker.simulation.simulate import simulate_project

    settings = _settings(data)
    behaviour = Behaviour(seconds, skip_rate, error_rate)
    simulate_project(
        _database(settings),
        settings,
        project,
        rounds,
        annotators,
        budget,
        behaviour,
        seed,
        url,
        out,
    )


@cli.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Emptied first if it is a former demo's.")] = Path(
        "sfumato-demo"
    ),
    rounds: Annotated[int, typer.Option(min=5)] = 5,
) -> None:
    """The whole loop on a phantom: import, annotate over HTTP, retrain, plot."""
    from worker.simulation.demo import run_demo

    run_demo(folder, rounds)


@cli.command()
def benchmark(
    path: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder of the data set, with masks.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Tables and report; run again, it goes on there.")
    ] = Path("benchmark"),
    strategies: Annotated[
        str, typer.Option(help="Comma-separated names; paper: the sixteen; all: all.")
    ] = "random,entropy,entropy-selective",
    seeds: Annotated[str, typer.Option(help="How many, or which: 3, 100-104, 1,5.")] = "3",
    preset: Annotated[str | None, typer.Option(help="See README: lgg-flair-small, …")] = None,
    rounds: Annotated[int | None, typer.Option(min=2)] = None,
    initial: Annotated[int | None, typer.Option(min=1, help="Slices labelled at first.")] = None,
    query: Annotated[int | None, typer.Option(min=1, help="Slices a round.")] = None,
    init: Annotated[str | None, typer.Option(help="random, k-centre or foreground")] = None,
    layout: Annotated[str | None, typer.Option(help="msd, brats, nifti or png")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Without it, one a core.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of each process.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    workers: Annotated[str, typer.Option(help="local, or celery for other machines")] = "local",
    replay: Annotated[bool, typer.Option(help="Draw the report of what is there anew.")] = False,
    assignments: SetOption = None,
) -> None:
    """Compare query strategies on a data set with masks; Ctrl-C stops, the same command goes on."""
    from worker.benchmark.command import Asked, benchmark, redraw

    if replay:
        typer.echo(f"the report is in {redraw(out)}")
        return
    asked = Asked(
        path,
        strategies,
        seeds,
        preset,
        rounds,
        initial,
        query,
        init,
        layout,
        tuple(assignments or ()),
    )
    if not benchmark(asked, out, workers, processes, threads, device):
        raise typer.Exit(1)


@cli.command()
def export(
    project: Annotated[str, typer.Option()],
    out: Annotated[Path, typer.Option(help="A folder that is not there yet.")],
    data: DataOption = None,
) -> None:
    """Export images, masks and the newest model in the Decathlon layout."""
    from app.exporting import export_project

    written = export_project(_database(_settings(data)), project, out)
    typer.echo(f"{written} cases are in {out}")


if __name__ == "__main__":
    main()
