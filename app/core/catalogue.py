"""The names that people may ask for, one entry a name: ours and those of installed packages.

Measures, strategies, streams, layouts, writers, networks and recipes are looked up here wherever a
name enters. Nothing is imported to know a name: ours are files of a folder, others' are entry
points of the groups ``sfumato.measures``, ``sfumato.strategies``, ``sfumato.layouts``,
``sfumato.networks`` and ``sfumato.recipes``; writers are ours alone.
So the server knows what may be asked for without torch; a worker loads what is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from app.core.errors import CannotLoad, UnknownName
from app.core.names import is_safe
from app.core.streams import STREAMS

Kind = Literal["measure", "strategy", "stream", "layout", "writer", "network", "recipe"]
KINDS: tuple[Kind, ...] = ("measure", "strategy", "stream", "layout", "writer", "network", "recipe")

OURS = "sfumato"
# With the longest ending of a measure's strategies it still fits where strategies are kept.
LONGEST_NAME = 32
# A file of these folders is an entry: least_confidence.py is named least-confidence.
_FOLDERS: dict[Kind, tuple[str, str]] = {
    "measure": ("worker.acquisition.measures", "MEASURE"),
    "layout": ("app.formats.layouts", "LAYOUT"),
    "writer": ("app.formats.writers", "WRITER"),
    "network": ("worker.segmentation.networks", "NETWORK"),
    "recipe": ("worker.segmentation.recipes", "RECIPE"),
}
_GROUPS: dict[Kind, str] = {
    "measure": "sfumato.measures",
    "strategy": "sfumato.strategies",
    "layout": "sfumato.layouts",
    "network": "sfumato.networks",
    "recipe": "sfumato.recipes",
}

PAPER_MEASURES = ("entropy", "least-confidence", "margin", "mc-dropout", "bald")
AGGREGATIONS = ("", "-target", "-selective")
PAPER_STRATEGIES = ("random", *(m + a for m, a in product(PAPER_MEASURES, AGGREGATIONS)))
# Every measure gives these too; a test holds them to the worker's registry.
VARIANTS = ("-selective-power", "-selective-diverse")
# The target of the strategies that a measure of others brings.
OF_MEASURE = "worker.acquisition.strategies:AGGREGATIONS"
RIVALS = ("random-foreground", "foreground-areas", "clasp", "stochastic-batches", "core-set")


@dataclass(frozen=True)
class Entry:
    """A name, where it is found (``module:attribute``), and the package that brings it."""

    kind: Kind
    name: str
    target: str
    package: str = OURS


@cache
def entries(kind: Kind) -> Mapping[str, Entry]:
    """All entries of a kind by name, ours first. What is ours cannot be taken by others."""
    # Cached: looking through all installed packages costs more than a request should.
    found: dict[str, Entry] = {}
    for entry in (*_own(kind), *_others(kind)):
        found.setdefault(entry.name, entry)
    if kind == "strategy":
        for entry in _of_measures():
            found.setdefault(entry.name, entry)
    return MappingProxyType(found)


def names(kind: Kind) -> tuple[str, ...]:
    """All names of a kind."""
    return tuple(entries(kind))


def own_names(kind: Kind) -> tuple[str, ...]:
    """The names of a kind that Sfumato itself brings."""
    return tuple(name for name, entry in entries(kind).items() if entry.package == OURS)


def find(kind: Kind, name: str) -> Entry:
    """The entry of that name. Raises ``UnknownName``, which lists those that there are."""
    try:
        return entries(kind)[name]
    except KeyError:
        raise UnknownName(
            f"there is no {kind} {name!r}: choose one of {', '.join(names(kind))}"
        ) from None


def load(entry: Entry) -> Any:
    """The object behind an entry. Raises ``CannotLoad`` with the reason."""
    module, _, attribute = entry.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # a package of somebody else's may raise anything
        raise CannotLoad(
            f"the {entry.kind} {entry.name!r} of the package {entry.package} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def _own(kind: Kind) -> Iterator[Entry]:
    if kind in _FOLDERS:
        package, attribute = _FOLDERS[kind]
        known = {stem.replace("_", "-"): stem for stem in _modules(package)}
        first = [name for name in PAPER_MEASURES if name in known]
        for name in dict.fromkeys([*first, *sorted(known)]):
            yield Entry(kind, name, f"{package}.{known[name]}:{attribute}")
    elif kind == "strategy":
        ours = [entry.name for entry in _own("measure")]
        plain = (m + a for m, a in product(ours, AGGREGATIONS))
        varied = (m + v for v, m in product(VARIANTS, ours))
        for name in dict.fromkeys([*PAPER_STRATEGIES, *plain, *RIVALS, *varied]):
            yield Entry(kind, name, "worker.acquisition.strategies:STRATEGIES")
    elif kind == "stream":
        for name in STREAMS:
            yield Entry(kind, name, "app.core.streams:STREAMS")


def _modules(package: str) -> list[str]:
    """The modules of a package of ours, listed without importing it."""
    top, *rest = package.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _others(kind: Kind) -> Iterator[Entry]:
    if kind not in _GROUPS:
        return
    for point in entry_points(group=_GROUPS[kind]):
        if not is_safe(point.name, LONGEST_NAME):
            continue  # it could name neither a folder nor anything in an address or a column
        package = point.dist.name if point.dist else "unknown"
        yield Entry(kind, point.name, point.value, package)


def _of_measures() -> Iterator[Entry]:
    """Each measure of others in every aggregation."""
    for entry in _others("measure"):
        for suffix in (*AGGREGATIONS, *VARIANTS):
            yield Entry("strategy", entry.name + suffix, OF_MEASURE, entry.package)
