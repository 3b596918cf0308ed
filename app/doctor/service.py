"""What runs beside the database: the broker, and the server of the data folder."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
from redis.exceptions import AuthenticationError, RedisError

from app.dispatch import broker_client
from app.doctor.finding import Finding, first_line, ok, warning, wrong
from app.settings import Settings

_SECONDS = 3.0


def broker(settings: Settings) -> Iterator[Finding]:
    """Whether it answers. Without one jobs are found all the same, only later."""
    about, url = "broker", settings.broker_url
    if url is None:
        yield ok(about, "none is set: sfumato up starts its own, for this user alone")
        return
    # Never the whole address: it may hold a password.
    where = urlsplit(url).hostname or "the address"
    try:
        broker_client(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS).ping()
    except AuthenticationError:
        yield wrong(
            about,
            f"{where} answers, and asks for another password",
            "put it into SFUMATO_BROKER_URL (redis://:PASSWORD@HOST), or SFUMATO_BROKER_URL_FILE",
        )
    except (RedisError, ValueError, OSError) as error:
        yield wrong(
            about,
            f"{where} does not answer ({first_line(error)})",
            "see that it runs and that SFUMATO_BROKER_URL names it: until then jobs only wait",
        )
    else:
        yield ok(about, f"{where} answers")


def server(settings: Settings) -> Iterator[Finding]:
    """Whether the service that says it works on the data folder answers."""
    about = "server"
    if not settings.server_file.is_file():
        return
    try:
        url = json.loads(settings.server_file.read_text())["url"]
        reply = httpx.get(f"{url}/health/ready", timeout=_SECONDS, trust_env=False)
    except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
        yield warning(
            about,
            f"{settings.server_file} names a service that does not answer ({first_line(error)})",
            "it was killed, or hangs: start sfumato up again",
        )
        return
    if reply.is_success:
        yield ok(about, f"{url} is ready")
    else:
        yield wrong(about, f"{url} says that it is not ready ({reply.status_code})", "read its log")
