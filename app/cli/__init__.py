"""`sfumato …`: the composition root. Commands import what they need when they run."""

import sys

import typer

from app.cli import accounts, backup, data, doctor, identities, research, service
from app.core.errors import SfumatoError

cli = typer.Typer(
    help="Sfumato asks experts only for the masks that teach the model most.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for part in (service, accounts, identities, data, backup, research, doctor):
    part.add_to(cli)


def main() -> None:
    """Run a command; what is no fault of the program is told in a line, without a traceback."""
    try:
        cli()
    except Exception as error:
        words = _in_words(error)
        if words is None:
            raise
        typer.secho(f"sfumato: {words}", fg="red", err=True)
        sys.exit(1)


def _in_words(error: Exception) -> str | None:
    """What went wrong, where it is no fault of the program: ours, the system's, the database's, a
    library's that was left out.
    """
    if isinstance(error, SfumatoError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
        return (
            f"this command needs the library {error.name}, which is not installed here: the "
            "server's image holds only what serves; use the worker's image, or a plain install"
        )
    # Commands load it when they run: what was not loaded has not failed.
    alchemy = sys.modules.get("sqlalchemy.exc")
    if alchemy is not None and isinstance(error, alchemy.OperationalError | alchemy.ArgumentError):
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        return (
            f"the database cannot be used ({cause[0] if cause else type(error).__name__}): see "
            "that it runs, that SFUMATO_DATABASE_URL or --data names it, and that this user may "
            "read and write it"
        )
    return None
