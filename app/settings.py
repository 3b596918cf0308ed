"""Every knob of an installation, read once from the environment (prefix ``SFUMATO_``).

`SFUMATO_…_FILE` names a file that holds the setting.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.errors import InvalidInput
from app.core.hook_addresses import Network, networks
from app.core.retries import Retries
from app.limit_settings import LimitSettings
from app.provider_settings import ProviderSettings
from app.setting_files import SettingFiles, file_variables, with_password


class Settings(LimitSettings, ProviderSettings):
    """Installation-wide settings. What belongs to one project is in ``core.project_settings``."""

    model_config = SettingsConfigDict(
        env_prefix="SFUMATO_",
        extra="ignore",
        # Of what is wrong with one setting, the error would quote others, secrets among them.
        hide_input_in_errors=True,
    )

    data: Path = Field(Path("sfumato-data"), description="Folder of the embedded service.")
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL; without one, a SQLite file in the data folder.",
    )
    database_password: SecretStr | None = Field(
        None, description="Put into `database_url`, for a password that lies in a file of its own."
    )
    broker_url: str | None = Field(
        None,
        description="redis://…; without one, `sfumato up` starts an embedded Valkey.",
    )
    broker_password: SecretStr | None = Field(None, description="Put into `broker_url`.")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    trusted_proxies: str | None = Field(
        None,
        description="Addresses or networks, by commas, whose X-Forwarded-For and -Proto are "
        "believed; without it, this machine's own.",
    )
    workers: int = Field(1, ge=0, description="Worker processes that `sfumato up` starts.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    import_processes: int = Field(
        1, ge=0, description="Processes that read and encode for an import; 0 for the server's own."
    )

    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="With which a monitoring system reads /metrics; an admin's token does too.",
    )
    metrics_open: bool = Field(
        False, description="/metrics shows projects to whoever reaches the port, token or not."
    )
    metrics_seconds: float = Field(
        10.0, ge=0, description="How long what was read for /metrics is shown again."
    )
    tracing: bool = Field(
        False,
        description="Send traces to an OpenTelemetry collector; where it is, OTEL_EXPORTER_OTLP_"
        "ENDPOINT says. Needs `pip install 'sfumato[otel]'`.",
    )

    dicomweb_user: str | None = Field(None, description="Of the server that series come from.")
    dicomweb_password: SecretStr | None = None
    dicomweb_token: SecretStr | None = Field(None, description="Instead of user and password.")

    session_hours: float = Field(
        12.0, gt=0, description="A browser's session without a visit ends after so long."
    )
    lease_minutes: float = Field(30.0, gt=0, description="Time to live of a lease.")

    hook_networks: str = Field(
        "",
        description="Loopback and private addresses that webhooks may go to, also without TLS: "
        "networks such as 10.1.0.0/16, several with commas between them. All others are refused.",
    )
    hook_log_days: int = Field(
        30, ge=3, description="What was sent to webhooks is looked up for so long."
    )

    keep_maps_days: int | None = Field(
        None,
        ge=1,
        description="So long after a round was closed its map is kept; without it, for ever, as "
        "with all of these.",
    )
    keep_scores_days: int | None = Field(
        None, ge=1, description="So long the scores of a model that no round needs any more."
    )
    keep_suggestions_days: int | None = Field(
        None, ge=1, description="So long its suggestions and maps of uncertainty."
    )
    keep_weights_days: int | None = Field(
        None,
        ge=1,
        description="So long its weights, unless it is current, the newest, the best, or was "
        "promoted.",
    )
    keep_reports_days: int | None = Field(
        None, ge=1, description="So long imports and exports that have ended, and their reports."
    )
    keep_exports_days: float = Field(
        1.0, gt=0, description="So long the archive of an export can be fetched."
    )

    heartbeat_seconds: float = Field(3.0, gt=0)
    stale_seconds: float = Field(
        15.0,
        gt=0,
        description="A running job without a heartbeat for so long is taken back.",
    )
    sweep_seconds: float = Field(5.0, gt=0)
    resend_seconds: float = Field(
        10.0,
        gt=0,
        description="First wait before a queued job is announced again; doubles.",
    )
    max_attempts: int = Field(
        3, ge=1, description="Workers that one try of a job may lose, between two checkpoints."
    )
    retries: int = Field(
        3, ge=0, description="How often a job is tried again by itself that may go well then."
    )
    retry_seconds: float = Field(
        60.0, gt=0, description="Pause before the first of these tries; each is four times as long."
    )
    checkpoint_seconds: float = Field(
        120.0,
        gt=0,
        description="A training is kept so often at most, to go on from; several times the "
        "model's size is written each time.",
    )
    shard_slices: int = Field(1024, ge=1, description="Pool slices that one scoring job takes.")

    device: str = Field("auto", description="torch device: auto, cpu, cuda, cuda:1 …")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of inference; auto: what `sfumato tune` kept for this kind of machine, else "
        "bfloat16 on CUDA devices that have it and float32 elsewhere.",
    )
    training_precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="As `precision`, of training, for recipes that use it."
    )
    threads: int = Field(
        0,
        ge=0,
        description="Of torch in each worker; 0: what `sfumato tune` kept for this kind of "
        "machine, else 2. Never what the machine happens to offer: sums are cut by threads, and "
        "so figures hang on their number.",
    )
    cache: Path | None = Field(
        None,
        description="Folder for what a start need not find out again; without it, `sfumato` in "
        "the user's cache folder, and where there is none, nothing is kept.",
    )
    encoder_weights: Path | None = Field(
        None,
        description="Folder with pretrained encoders, such as efficientnet-b0.safetensors or "
        "efficientnet-b0-355c32eb.pth; nothing is ever downloaded.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a caller says goes first, then variables, then the files that variables name."""
        return init_settings, env_settings, SettingFiles(settings_cls)

    @model_validator(mode="after")
    def _with_passwords(self) -> Self:
        if self.database_url and self.database_password:
            password = self.database_password.get_secret_value()
            self.database_url = with_password(self.database_url, password)
        if self.broker_url and self.broker_password:
            password = self.broker_password.get_secret_value()
            self.broker_url = with_password(self.broker_url, password)
        return self

    @cached_property
    def effective_database_url(self) -> str:
        """The given URL, or the embedded SQLite file."""
        return self.database_url or f"sqlite:///{(self.data / 'sfumato.db').absolute()}"

    @property
    def tries_again(self) -> Retries:
        """How a job is tried again that may go well then."""
        return Retries(self.retries, timedelta(seconds=self.retry_seconds))

    @property
    def cache_folder(self) -> Path | None:
        """Where a start keeps what the next need not find out, if there is such a place."""
        if self.cache is not None:
            return self.cache
        of_user = os.environ.get("XDG_CACHE_HOME")
        with suppress(RuntimeError):  # a user without a home, as in some containers
            return (Path(of_user) if of_user else Path.home() / ".cache") / "sfumato"
        return None

    @field_validator("hook_networks")
    @classmethod
    def _known_networks(cls, value: str) -> str:
        networks(value)
        return value

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """Where webhooks may go besides public addresses."""
        return networks(self.hook_networks)

    @property
    def admin_token_file(self) -> Path:
        """Where the first start leaves the admin's token."""
        return self.data / "admin.token"

    @property
    def transfers_folder(self) -> Path:
        """Where uploaded data sets and finished exports lie while they are needed."""
        return self.data / "transfers"

    @property
    def server_file(self) -> Path:
        """Where a running embedded service says how it is reached."""
        return self.data / "server.json"


# By what a person calls them: what ATen and oneDNN call the instructions up to these.
INSTRUCTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sse4": ("default", "SSE41"),
        "avx2": ("avx2", "AVX2"),
        "avx512": ("avx512", "AVX512_CORE"),
    }
)


class NumericLimits(BaseSettings):
    """What torch's libraries are told by the environment, in names of their own."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True)

    aten_cpu_capability: str | None = Field(None, validation_alias="ATEN_CPU_CAPABILITY")
    onednn_max_cpu_isa: str | None = Field(
        None, validation_alias=AliasChoices("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
    )

    @staticmethod
    def pinned_to(instructions: str) -> dict[str, str]:
        """The environment of processes that use these instructions at most.

        Raises ``InvalidInput`` for a name that is not in ``INSTRUCTIONS``.
        """
        if instructions not in INSTRUCTIONS:
            raise InvalidInput(
                f"there are no instructions {instructions!r}: choose {', '.join(INSTRUCTIONS)}"
            )
        aten, onednn = INSTRUCTIONS[instructions]
        return {"ATEN_CPU_CAPABILITY": aten, "ONEDNN_MAX_CPU_ISA": onednn}

    def given(self) -> dict[str, str]:
        """Those that are set, by name."""
        found = {
            "ATEN_CPU_CAPABILITY": self.aten_cpu_capability,
            "ONEDNN_MAX_CPU_ISA": self.onednn_max_cpu_isa,
        }
        return {name: value for name, value in found.items() if value}


# Not of the service: what the building of images and the tests' fuzzing are told.
_OTHERS = frozenset(("SFUMATO_TAG", "SFUMATO_DEBIAN", "SFUMATO_FUZZ"))


def unknown_variables() -> list[str]:
    """Variables of the environment that look like settings and are none: mistyped, most likely."""
    known = {f"SFUMATO_{name.upper()}" for name in Settings.model_fields} | _OTHERS
    known |= file_variables(Settings).keys()
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith("SFUMATO_") and name.upper() not in known
    )
