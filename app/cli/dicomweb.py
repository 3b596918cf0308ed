"""Options of `sfumato import dicomweb`: where series come from, and how one signs in there.

Secrets come from files or the environment: what stands on a command line, others can read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.installation import database_of
from app.core.errors import InvalidInput
from app.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.formats.dicomweb_server import DicomWebSource
    from app.importing import ImportOptions

NAME = "dicomweb"
_PANEL = "DICOMweb"

StudyOption = Annotated[
    list[str] | None,
    typer.Option("--study", help="UID of a study; several add up.", rich_help_panel=_PANEL),
]
SeriesOption = Annotated[
    list[str] | None,
    typer.Option("--series", help="UID of a series; several add up.", rich_help_panel=_PANEL),
]
QueryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--query",
        metavar="NAME=VALUE,…",
        help="e.g. Modality=CT,StudyDate=20200101-20201231",
        rich_help_panel=_PANEL,
    ),
]
UserOption = Annotated[
    str | None, typer.Option("--user", help="[SFUMATO_DICOMWEB_USER]", rich_help_panel=_PANEL)
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="File with the password [SFUMATO_DICOMWEB_PASSWORD]",
        rich_help_panel=_PANEL,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with a bearer token [SFUMATO_DICOMWEB_TOKEN]",
        rich_help_panel=_PANEL,
    ),
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option(
        "--authority", help="Certificate (PEM) that vouches for the server.", rich_help_panel=_PANEL
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate", help="Our certificate with its key (PEM).", rich_help_panel=_PANEL
    ),
]


Asked = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Signing:
    """How one signs in, as a command line says it."""

    user: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    authority: Path | None = None
    certificate: Path | None = None


def asked_of(
    studies: list[str] | None, series: list[str] | None, queries: list[str] | None
) -> Asked:
    """Which series a command line asks for."""
    return tuple(studies or ()), tuple(series or ()), tuple(queries or ())


def refuse_elsewhere(asked: Asked, signing: Signing) -> None:
    """Raise ``InvalidInput`` where options of DICOMweb are given for a folder."""
    if any(asked) or signing != Signing():
        raise InvalidInput(
            "--study, --series, --query and how one signs in belong to sfumato import dicomweb "
            "ADDRESS: omit them for a folder"
        )


def run(
    settings: Settings,
    url: str,
    asked: Asked,
    signing: Signing,
    project: str,
    options: "ImportOptions",
) -> None:
    """Fetch and import what is asked for."""
    from app.formats.dicomweb_query import wanted_from
    from app.transfers.dicomweb import import_series

    source, wanted = source_of(settings, url, signing), wanted_from(*asked)
    import_series(database_of(settings), source, wanted, project, options)


def source_of(settings: Settings, url: str, signing: Signing) -> "DicomWebSource":
    """The server that a command line names; what it leaves out comes from the environment.

    Raises ``InvalidInput`` for a file that cannot be read or holds no secret.
    """
    from app.formats.dicomweb_server import DicomWebSource

    # Credentials that are named count more than a token that the environment happens to hold.
    named = signing.user is not None or signing.password_file is not None
    return DicomWebSource(
        url,
        user=signing.user or settings.dicomweb_user,
        password=_secret(signing.password_file, settings.dicomweb_password),
        token=_secret(signing.token_file, None if named else settings.dicomweb_token),
        authority=signing.authority,
        certificate=signing.certificate,
    )


def _secret(file: Path | None, kept: "SecretStr | None") -> str | None:
    """What the file holds, or what the environment does."""
    if file is None:
        return kept.get_secret_value() if kept else None
    try:
        held = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"{file} cannot be read") from fault
    if not held or not held.isprintable():
        raise InvalidInput(f"{file} holds no secret: one line is expected")
    return held
