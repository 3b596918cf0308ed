"""`sfumato …`: the composition root. Commands import what they need when they run."""

import sys

import typer

from app.cli import accounts, data, research, service
from app.core.errors import SfumatoError

cli = typer.Typer(
    help="Sfumato asks experts only for the masks that teach the model most.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for part in (service, accounts, data, research):
    part.add_to(cli)


def main() -> None:
    """Run a command; our own errors are told in one line, without a traceback."""
    try:
        cli()
    except SfumatoError as error:
        typer.secho(f"sfumato: {error}", fg="red", err=True)
        sys.exit(1)
