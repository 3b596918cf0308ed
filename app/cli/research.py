"""Simulated annotators, the demo, and the comparison of strategies."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.installation import DataOption, SetOption, database_of, settings_of


def simulate(
    project: Annotated[str, typer.Option()],
    rounds: Annotated[int, typer.Option(min=1, help="Retrainings to see.")] = 5,
    annotators: Annotated[int, typer.Option(min=1)] = 2,
    budget: Annotated[int | None, typer.Option(min=1, help="Labels at the most.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Mean time to draw one mask.")] = 0.0,
    effort: Annotated[
        Path | None, typer.Option(help="JSON with an annotator's seconds, noted on masks.")
    ] = None,
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
    from app.core.effort import read_effort
    from worker.simulation.annotators import Behaviour
    from worker.simulation.simulate import simulate_project

    settings = settings_of(data)
    model = None if effort is None else read_effort(effort)
    behaviour = Behaviour(seconds, skip_rate, error_rate, model)
    simulate_project(
        database_of(settings),
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


def times(
    project: Annotated[str, typer.Option()],
    data: DataOption = None,
) -> None:
    """What the seconds of each retraining went to: training, scoring, selecting."""
    from app.cli.tables import print_times
    from app.loop.access import HERE
    from app.loop.projects import find_project
    from app.loop.round_times import round_times
    from app.store import Role

    with database_of(settings_of(data)).reading() as session:
        print_times(round_times(session, find_project(session, HERE, project, Role.ADMIN)))


def effort(
    project: Annotated[str, typer.Option()],
    out: Annotated[
        Path, typer.Option(help="JSON for `benchmark --effort` and `simulate --effort`.")
    ] = Path("seconds.json"),
    data: DataOption = None,
) -> None:
    """Fit an annotator's seconds to what the clocks of a project's masks say."""
    from app.loop.access import HERE
    from app.loop.annotation_effort import fit_effort
    from app.loop.projects import find_project
    from app.store import Role

    with database_of(settings_of(data)).reading() as session:
        found = fit_effort(session, find_project(session, HERE, project, Role.ADMIN))
    out.write_text(found.effort.model_dump_json(indent=1))
    typer.echo(
        f"{found.effort.slice_seconds:g} s a slice and {found.effort.pixel_seconds:g} s a pixel's "
        f"side of outline, from {found.masks} masks; one is off by {found.median_error:.1f} s in "
        f"the middle; written to {out}"
    )


def demo(
    folder: Annotated[Path, typer.Option(help="Emptied first if it is a former demo's.")] = Path(
        "sfumato-demo"
    ),
    rounds: Annotated[int, typer.Option(min=5)] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of phantom, draws and training.")] = 0,
) -> None:
    """The whole loop on a phantom: import, annotate over HTTP, retrain, plot."""
    from worker.simulation.demo import run_demo

    run_demo(folder, rounds, seed)


def benchmark(
    path: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder of the data set, with masks.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Tables and report; run again, it goes on there.")
    ] = Path("benchmark"),
    strategies: Annotated[
        str,
        typer.Option(
            help="Comma-separated names; paper: the sixteen; all: all; full-labels: none."
        ),
    ] = "random,entropy,entropy-selective",
    seeds: Annotated[str, typer.Option(help="How many, or which: 3, 100-104, 1,5.")] = "3",
    repeats: Annotated[
        int, typer.Option(min=1, help="Trainings of each strategy and seed; their mean counts.")
    ] = 1,
    preset: Annotated[str | None, typer.Option(help="See README: lgg-flair-small, …")] = None,
    rounds: Annotated[int | None, typer.Option(min=2)] = None,
    initial: Annotated[int | None, typer.Option(min=1, help="Slices labelled at first.")] = None,
    query: Annotated[int | None, typer.Option(min=1, help="Slices a round.")] = None,
    init: Annotated[str | None, typer.Option(help="random, k-centre or foreground")] = None,
    layout: Annotated[str | None, typer.Option(help="msd, brats, nifti or png")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Without it, one a core.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of each process.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16")] = None,
    instructions: Annotated[
        str | None, typer.Option(help="At most sse4, avx2 or avx512: repeatable elsewhere.")
    ] = None,
    workers: Annotated[str, typer.Option(help="local, or celery for other machines")] = "local",
    effort: Annotated[
        Path | None, typer.Option(help="JSON with an annotator's seconds, for minutes.")
    ] = None,
    replay: Annotated[bool, typer.Option(help="Draw the report of what is there anew.")] = False,
    assignments: SetOption = None,
) -> None:
    """Compare query strategies on a data set with masks; Ctrl-C stops, the same command goes on."""
    from worker.benchmark.command import Asked, benchmark, keep_effort, redraw

    if effort is not None:
        keep_effort(out, effort)
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
        precision,
        layout,
        tuple(assignments or ()),
    )
    if not benchmark(asked, out, workers, processes, threads, device, instructions, repeats):
        raise typer.Exit(1)


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.command()(simulate)
    cli.command()(times)
    cli.command()(effort)
    cli.command()(demo)
    cli.command()(benchmark)
