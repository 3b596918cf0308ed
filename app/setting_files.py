"""Settings that stand in files: `SFUMATO_X_FILE=/run/secrets/x` for `SFUMATO_X`.

What stands in the environment is shown by `docker inspect` and inherited by every child; a file is
read by its owner. Docker's and Kubernetes' secrets and systemd's credentials are files.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from app.core.errors import InvalidInput

_FILE = "_FILE"


def file_variables(model: type[BaseSettings]) -> dict[str, str]:
    """Names of the variables that name files, in upper case, and the setting that each holds."""
    prefix = model.model_config.get("env_prefix", "").upper()
    return {f"{prefix}{name.upper()}{_FILE}": name for name in model.model_fields}


class SettingFiles(PydanticBaseSettingsSource):
    """Every setting from the file that a variable names; the setting's own variable goes first."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all fields are read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The settings that were found. Raises ``InvalidInput`` for a file that cannot be read."""
        known = file_variables(self.settings_cls)
        given = {name.upper(): value for name, value in os.environ.items()}
        return {
            setting: self._read(setting, _content(variable, given[variable]))
            for variable, setting in known.items()
            if given.get(variable) and not given.get(variable.removesuffix(_FILE))
        }

    def _read(self, setting: str, text: str) -> Any:
        """As from the variable itself: lists and the like are JSON."""
        field = self.settings_cls.model_fields[setting]
        return self.prepare_field_value(setting, field, text, self.field_is_complex(field))


def _content(variable: str, name: str) -> str:
    try:
        text = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
        raise InvalidInput(
            f"{variable} names {name}, which cannot be read ({why}): name a file of text that "
            "this user may read"
        ) from error
    if not text:
        raise InvalidInput(f"{variable} names {name}, which is empty: write the setting into it")
    return text


def with_password(url: str, password: str) -> str:
    """A URL of a database or broker, with this password; one that it has is replaced."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0] if at else ""
    return parts._replace(netloc=f"{name}:{quote(password, safe='')}@{host}").geturl()
