"""`sfumato doctor`: what is wrong with an installation, and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.installation import DataOption, settings_of

if TYPE_CHECKING:
    from app.doctor.finding import Finding


def doctor(
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in words what is wrong with this installation and what to do; changes nothing.

    Ends with 1 if something is wrong. Run it as the user, and with the environment, of the service.
    """
    from app.core.errors import InvalidInput
    from app.doctor.examine import examine
    from app.doctor.finding import State, wrong

    try:
        found = examine(settings_of(data))
    except InvalidInput as error:
        found = [wrong("settings", str(error), "correct it in the environment")]
    _print_json(found) if as_json else _print_table(found)
    if any(one.state is State.WRONG for one in found):
        raise typer.Exit(1)


def _print_json(found: "list[Finding]") -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))


def _print_table(found: "list[Finding]") -> None:
    from collections import Counter

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from app.doctor.finding import State

    styles = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red"}
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for one in found:
        words = Text(one.words)
        if one.advice:
            words.append(f"\n→ {one.advice}", style="bold")
        table.add_row(Text(one.state, style=styles[one.state]), one.about, words)
    console = Console(highlight=False)
    console.print(table)
    counts = Counter(one.state for one in found)
    console.print(f"{counts[State.WRONG]} wrong, {counts[State.WARNING]} to think about")


def add_to(cli: typer.Typer) -> None:
    """Put this command into the command line."""
    cli.command()(doctor)
