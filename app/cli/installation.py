"""What commands share: the installation's settings and its database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.core.project_settings import in_words
from app.settings import Settings

if TYPE_CHECKING:
    from app.store import Database

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder of the service [SFUMATO_DATA]."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="e.g. query.size=20 or training.width=8"),
]


def settings_of(data: Path | None = None, **changes: Any) -> Settings:
    """The settings of the environment, changed by what a command line says."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise InvalidInput(
            f"the environment holds a setting that cannot be used: {in_words(error)}"
        ) from error
    given = {name: value for name, value in changes.items() if value is not None}
    if data is not None:
        given["data"] = data
    return Settings.model_validate({**settings.model_dump(), **given})


def database_of(settings: Settings) -> "Database":
    """The database, brought to the present schema."""
    from app.private import private_files
    from app.store.migrate import migrate

    database = database_as_it_is(settings)
    with private_files():
        migrate(database)
    return database


def database_as_it_is(settings: Settings) -> "Database":
    """The database, of whatever schema, or with none yet."""
    from app.private import private_files
    from app.store import Database

    with private_files():
        settings.data.mkdir(parents=True, exist_ok=True)
    return Database(settings.effective_database_url, settings.lock_timeout_seconds)
