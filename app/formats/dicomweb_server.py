"""A DICOMweb server as the import needs it: search, whole series, single instances.

What goes wrong is said in words that hold no address of a patient's data and no server's text:
either may name a patient.
"""

import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset

from app.core.errors import InvalidInput, VolumeInvalid

_Answer = TypeVar("_Answer")
_TIMEOUT = (10.0, 60.0)  # seconds: to connect, and between two pieces of a reply
_LONGEST_WAIT = 60.0
_TRANSIENT = frozenset({408, 425, 429, 502, 503, 504})
# As the archive has them, not unpacked for us: what is stored is what is read.
_AS_STORED = (("application/dicom", "*"),)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

# They repeat addresses, whose queries may name a patient.
for _library in ("dicomweb_client", "urllib3.connectionpool"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class DicomWebSource:
    """Where series are fetched and how one signs in: by token, by user and password, or neither.

    ``authority``: the certificate (PEM) that vouches for the server; ``certificate``: ours, with
    its key. ``attempts`` of each request, with waits that double from ``first_wait`` seconds.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    authority: Path | None = None
    certificate: Path | None = None
    attempts: int = 5
    first_wait: float = 1.0


class DicomWebServer:
    """Requests to one server. Every method raises ``VolumeInvalid`` in words."""

    def __init__(self, source: DicomWebSource, sleep: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet. Raises ``InvalidInput`` for what cannot be an address."""
        self.host = _host(source)
        self._source = source
        self._sleep = sleep
        try:
            self._client = DICOMwebClient(
                source.url.rstrip("/"), _session(source), permissive_uid=True, timeout=_TIMEOUT
            )
        except ValueError as fault:
            raise InvalidInput(f"{source.url} is no address that can be asked") from fault
        self._client.set_http_retry_params(retry=False)  # ours also covers cut replies

    @property
    def words(self) -> list[str]:
        """What is to be known of the connection."""
        credentials = self._source.token or self._source.password
        if credentials and self._source.url.startswith("http:") and self.host not in _LOOPBACK:
            return [f"{self.host} is reached without encryption: password or token can be read"]
        return []

    def series(self, study: str | None, filters: dict[str, str], offset: int) -> list[Any]:
        """A page of the series that fit, as DICOM JSON."""
        return self._search(
            lambda: self._client.search_for_series(
                study, offset=offset or None, search_filters=dict(filters)
            )
        )

    def instances(self, study: str, series: str, offset: int) -> list[Any]:
        """A page of the instances of a series, as DICOM JSON."""
        return self._search(
            lambda: self._client.search_for_instances(study, series, offset=offset or None)
        )

    def stream(self, study: str, series: str) -> Iterator[Dataset]:
        """The files of a series as they arrive; a reply that ends early is not asked for again."""
        try:
            yield from self._client.iter_series(study, series, media_types=_AS_STORED)
        except Exception as fault:
            raise VolumeInvalid(self._why(fault)) from fault

    def instance(self, study: str, series: str, instance: str) -> Dataset:
        """One file of a series."""
        return self._trying(
            lambda: self._client.retrieve_instance(study, series, instance, media_types=_AS_STORED)
        )

    def _search(self, ask: Callable[[], Any]) -> list[Any]:
        found = self._trying(ask)
        return found if isinstance(found, list) else []

    def _trying(self, ask: Callable[[], _Answer]) -> _Answer:
        """The answer, asked for again after a wait where the fault may pass by itself."""
        wait = self._source.first_wait
        for attempt in range(1, self._source.attempts + 1):
            try:
                return ask()
            # Whatever a server sends, its library may fail on it in any way.
            except Exception as fault:
                if attempt == self._source.attempts or not _may_pass(fault):
                    raise VolumeInvalid(self._why(fault)) from fault
                self._sleep(min(_asked_wait(fault) or wait, _LONGEST_WAIT))
                wait *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _why(self, fault: Exception) -> str:
        """What happened and what to do."""
        if isinstance(fault, requests.HTTPError) and fault.response is not None:
            return f"{self.host} {_answered(fault.response.status_code)}"
        if isinstance(fault, requests.exceptions.SSLError):
            return (
                f"the certificate of {self.host} is not trusted: name the one that vouches for "
                "it with --authority"
            )
        if isinstance(fault, requests.Timeout):
            return f"{self.host} does not answer: try again later"
        if isinstance(fault, requests.exceptions.ChunkedEncodingError):
            return f"{self.host} ended its reply before it was complete: try again"
        if isinstance(fault, requests.ConnectionError):
            return f"{self.host} cannot be reached: check the address"
        return (
            f"{self.host} sends what is not DICOMweb: give the address under which it serves "
            "that, such as http://HOST:8042/dicom-web for Orthanc"
        )


def _host(source: DicomWebSource) -> str:
    try:
        parts = urlsplit(source.url)
        named = parts.hostname if parts.scheme in ("http", "https") else None
        _ = parts.port
    except ValueError:
        named = None
    if not named:
        raise InvalidInput("the address of a DICOMweb server begins with https:// or http://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput(
            "the address of a DICOMweb server holds no user, password or query: others on this "
            "machine could read it; a token is named with --token-file"
        )
    for file in (source.authority, source.certificate):
        if file is not None and not file.is_file():
            raise InvalidInput(f"{file} is not a file")
    return named


def _session(source: DicomWebSource) -> requests.Session:
    session = _Session()
    if source.token is not None:
        session.auth = _Authorization(f"Bearer {source.token}")
    elif source.user is not None:
        pair = f"{source.user}:{source.password or ''}".encode()
        session.auth = _Authorization(f"Basic {b64encode(pair).decode()}")
    if source.authority is not None:
        session.verify = str(source.authority)
    if source.certificate is not None:
        session.cert = str(source.certificate)
    return session


class _Session(requests.Session):
    """A session whose own authority counts more than the environment's (REQUESTS_CA_BUNDLE)."""

    def merge_environment_settings(  # type: ignore[no-untyped-def]
        self, url, proxies, stream, verify, cert
    ):
        """As requests does, but for a request of an authority that was named."""
        named = self.verify if isinstance(self.verify, str) else None
        return super().merge_environment_settings(url, proxies, stream, verify or named, cert)


class _Authorization(requests.auth.AuthBase):
    """What signs requests; as an ``auth`` it is not replaced by what a .netrc says."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _may_pass(fault: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(fault, requests.HTTPError):
        return fault.response is not None and fault.response.status_code in _TRANSIENT
    if isinstance(fault, requests.exceptions.SSLError):
        return False
    cut = requests.exceptions.ChunkedEncodingError
    return isinstance(fault, requests.ConnectionError | requests.Timeout | cut)


def _asked_wait(fault: Exception) -> float | None:
    """The seconds that a busy server asks for."""
    response = fault.response if isinstance(fault, requests.HTTPError) else None
    asked = "" if response is None else response.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else None


def _answered(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            f"does not let this user in ({status}): name a token with --token-file, or a user "
            "with --user and --password-file"
        )
    if status == HTTPStatus.NOT_FOUND:
        return "does not have it (404): check the UIDs, and the address of the server"
    known = status in HTTPStatus.__members__.values()
    return f"answered with {status}{f' {HTTPStatus(status).phrase}' if known else ''}"
