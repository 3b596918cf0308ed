"""Settings that contradict each other or this machine."""

from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.core.errors import InvalidInput
from app.doctor.finding import Finding, ok, warning, wrong
from app.loop.group_roles import group_roles
from app.settings import Settings, unknown_variables

ABOUT = "settings"


def configuration(settings: Settings) -> Iterator[Finding]:
    """What of the settings cannot be meant."""
    found = [*_names(), *_liveness(settings), *_dicomweb(settings), *_extras(settings)]
    found += _provider(settings)
    yield from found or [ok(ABOUT, "they agree with each other")]
    yield from _network(settings)


def _names() -> Iterator[Finding]:
    unknown = unknown_variables()
    if unknown:
        yield warning(
            ABOUT,
            f"the environment names settings that do not exist: {', '.join(unknown)}",
            "correct their names or take them out: they have no effect",
        )


def _liveness(settings: Settings) -> Iterator[Finding]:
    beat, stale = settings.heartbeat_seconds, settings.stale_seconds
    if 3 * beat > stale:
        yield wrong(
            ABOUT,
            f"workers show life every {beat:g} s and are taken for dead after {stale:g} s",
            "make SFUMATO_STALE_SECONDS three times SFUMATO_HEARTBEAT_SECONDS or more",
        )
    if settings.lock_timeout_seconds >= stale:
        yield warning(
            ABOUT,
            f"a worker may wait {settings.lock_timeout_seconds:g} s for a locked database, and is "
            f"taken for dead after {stale:g} s",
            "make SFUMATO_LOCK_TIMEOUT_SECONDS less than SFUMATO_STALE_SECONDS",
        )


def _dicomweb(settings: Settings) -> Iterator[Finding]:
    user, password = settings.dicomweb_user, settings.dicomweb_password
    if settings.dicomweb_token and user:
        yield wrong(
            ABOUT,
            "SFUMATO_DICOMWEB_TOKEN and SFUMATO_DICOMWEB_USER are both set",
            "keep the one by which the archive lets you in",
        )
    if bool(user) != bool(password):
        yield wrong(
            ABOUT,
            "of SFUMATO_DICOMWEB_USER and SFUMATO_DICOMWEB_PASSWORD only one is set",
            "set both, or neither",
        )


def _provider(settings: Settings) -> Iterator[Finding]:
    try:
        group_roles(settings.oidc_roles)
    except InvalidInput as error:
        yield wrong(ABOUT, f"nobody can sign in by the provider: {error}", "see docs/sign-in.md")


def _extras(settings: Settings) -> Iterator[Finding]:
    encoders = settings.encoder_weights
    if encoders is not None and not encoders.is_dir():
        yield wrong(
            ABOUT,
            f"SFUMATO_ENCODER_WEIGHTS is {encoders}, which is no folder",
            "give the folder with the files of weights, or take the setting out",
        )
    if settings.tracing and not _there("opentelemetry.instrumentation.sqlalchemy"):
        yield wrong(
            ABOUT,
            "SFUMATO_TRACING is on, and OpenTelemetry is not installed",
            "run pip install 'sfumato[otel]', or turn it off",
        )


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def _network(settings: Settings) -> Iterator[Finding]:
    about = "network"
    if is_loopback(settings.host):
        yield ok(about, f"the server listens on {settings.host}, which only this machine reaches")
    else:
        yield warning(
            about,
            f"the server listens on {settings.host} and speaks plain HTTP",
            "let only a proxy with TLS reach it (nginx, Caddy). One on another machine must be "
            "named in FORWARDED_ALLOW_IPS, or browsers' cookies are not kept to HTTPS",
        )
        if settings.metrics_open:
            yield warning(
                about,
                "whoever reaches the server may read /metrics, names of projects among them",
                "set SFUMATO_METRICS_TOKEN in place of SFUMATO_METRICS_OPEN",
            )
    broker = urlsplit(settings.broker_url or "").hostname
    on_file = settings.effective_database_url.startswith("sqlite")
    if on_file and broker is not None and not is_loopback(broker):
        yield warning(
            about,
            f"workers find their jobs in an SQLite file, and the broker is on {broker}",
            "for workers on other machines set SFUMATO_DATABASE_URL to a PostgreSQL",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
