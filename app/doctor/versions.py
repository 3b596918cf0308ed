"""Python, and the libraries that Sfumato asks for."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from app.doctor.finding import Finding, ok, wrong

_OLDEST = (3, 11)


def versions() -> Iterator[Finding]:
    """Whether Python is new enough and every library is there in a version that fits."""
    about = "versions"
    running = platform.python_version()
    if sys.version_info < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        yield wrong(about, f"Python is {running}", f"install Sfumato with Python {oldest} or newer")
    unfit = [words for one in requires("sfumato") or [] if (words := _unfit(Requirement(one)))]
    if unfit:
        yield wrong(about, "; ".join(unfit), "install Sfumato anew: pip install --upgrade sfumato")
    else:
        yield ok(about, f"Sfumato {version('sfumato')} on Python {running}, all libraries fit")


def _unfit(asked: Requirement) -> str | None:
    """What is wrong with a library that a plain install needs; None where nothing is."""
    if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
        return None
    try:
        found = version(asked.name)
    except PackageNotFoundError:
        return f"{asked.name} is missing"
    if asked.specifier.contains(found, prereleases=True):
        return None
    return f"{asked.name} is {found} and must be {asked.specifier}"
