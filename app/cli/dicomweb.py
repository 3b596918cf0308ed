"""Options of `sfumato import dicomweb`: where series come from, and how one signs in there.

Secrets come from files or the environment: what stands on a command line, others can read.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.core.errors import InvalidInput
from app.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.formats.dicomweb_server import DicomWebSource

StudyOption = Annotated[
    list[str] | None, typer.Option("--study", help="UID of a study; several add up.")
]
SeriesOption = Annotated[
    list[str] | None, typer.Option("--series", help="UID of a series; several add up.")
]
QueryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--query", metavar="NAME=VALUE,…", help="e.g. Modality=CT,StudyDate=20200101-20201231"
    ),
]
UserOption = Annotated[str | None, typer.Option("--user", help="[SFUMATO_DICOMWEB_USER]")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password [SFUMATO_DICOMWEB_PASSWORD]"),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File with a bearer token [SFUMATO_DICOMWEB_TOKEN]"),
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option("--authority", help="Certificate (PEM) that vouches for the server."),
]
CertificateOption = Annotated[
    Path | None, typer.Option("--certificate", help="Our certificate with its key (PEM).")
]


def source_of(
    settings: Settings,
    url: str,
    user: str | None = None,
    password_file: Path | None = None,
    token_file: Path | None = None,
    authority: Path | None = None,
    certificate: Path | None = None,
) -> "DicomWebSource":
    """The server that a command line names; what it leaves out comes from the environment.

    Raises ``InvalidInput`` for a file that cannot be read or holds no secret.
    """
    from app.formats.dicomweb_server import DicomWebSource

    # Credentials that are named count more than a token that the environment happens to hold.
    named = user is not None or password_file is not None
    return DicomWebSource(
        url,
        user=user or settings.dicomweb_user,
        password=_secret(password_file, settings.dicomweb_password),
        token=_secret(token_file, None if named else settings.dicomweb_token),
        authority=authority,
        certificate=certificate,
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
