"""Backups: made, restored, and everything checked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.installation import DataOption, database_as_it_is, database_of, settings_of

if TYPE_CHECKING:
    from app.backup import Manifest, Watch


def backup(
    file: Annotated[
        Path, typer.Argument(help="A file that is not there yet, or a folder to put one into.")
    ],
    data: DataOption = None,
) -> None:
    """Save the whole installation into one file, while it runs."""
    from app.backup import make_backup

    if file.is_dir():
        file = file / f"sfumato-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar"
    with _watched() as watch:
        manifest = make_backup(database_as_it_is(settings_of(data)), file, watch)
    typer.echo(f"{file} holds {_in_words(manifest)}")
    if manifest.damaged:
        typer.secho(
            f"{len(manifest.damaged)} blobs are damaged and were left out: `sfumato verify` names "
            "what they belong to; look for them in an older backup",
            fg="red",
            err=True,
        )
        raise typer.Exit(1)


def restore(
    file: Annotated[Path, typer.Argument(help="What `sfumato backup` wrote.")],
    data: DataOption = None,
) -> None:
    """Put a backup into an empty installation, whichever database that has."""
    from app.backup import restore_backup
    from app.private import private_files

    with _watched() as watch, private_files():
        manifest = restore_backup(database_as_it_is(settings_of(data)), file, watch)
    typer.echo(f"restored: {_in_words(manifest)}")
    typer.echo(
        "Tokens are those of the backup: revoke again what was revoked since (`sfumato token "
        "list`). Everybody signs in anew."
    )


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="A backup; without one, the installation.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Check every hash, reference and mask, and say what is wrong; 1 if anything is."""
    from app.backup import verify_backup, verify_database

    with _watched() as watch:
        if file is not None:
            faults = _printed(verify_backup(file, watch))
        else:
            faults = _printed(verify_database(database_of(settings_of(data)), watch))
    if faults:
        typer.secho(f"{faults} faults were found", fg="red", err=True)
        raise typer.Exit(1)
    typer.echo("everything is as it should be")


def _printed(faults: Iterable[str]) -> int:
    count = 0
    for count, fault in enumerate(faults, 1):  # noqa: B007
        typer.echo(fault)
    return count


def _in_words(manifest: "Manifest") -> str:
    tables = {name: one.count for name, one in manifest.tables.items()}
    some = ("projects", "slices", "masks", "models")
    counts = [f"{tables[name]} {name}" for name in some if name in tables]
    return ", ".join([*counts, f"{manifest.rows} rows and {manifest.blobs.count} blobs in all"])


@contextmanager
def _watched() -> Iterator["Watch"]:
    """A line on the terminal that says how far it is; nothing where no terminal is."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("…") as status:

        def watch(what: str, done: int) -> None:
            if console.is_terminal and done % 100 == 0:
                status.update(f"{what}: {done}" if done else what)

        yield watch


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.command()(backup)
    cli.command()(restore)
    cli.command()(verify)
