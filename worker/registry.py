"""What a name stands for: measures, strategies and networks, ours and those of installed packages.

The catalogue (``app.core.catalogue``) knows the names; here they are loaded, and it is checked
that they are what they are registered as. A name is that of the entry point, whatever the object
calls itself. All functions raise ``UnknownName`` or ``CannotLoad``, in words.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from app.core import catalogue
from app.core.catalogue import Entry, Kind
from app.core.errors import CannotLoad, InvalidInput, SfumatoError, UnknownName
from app.core.names import checked_name
from app.core.network_limits import Limits, refusal
from worker.acquisition.measure import Measure
from worker.acquisition.strategies import AGGREGATIONS, STRATEGIES, Strategy, strategy_of
from worker.segmentation.network import Network
from worker.segmentation.recipe import Recipe
from worker.segmentation.trial import fault_of, limits_of


@dataclass(frozen=True)
class Capability:
    """A name of the catalogue, and why this worker cannot use it; None where it can.

    ``limits``: what a network takes, by setting, where that is not all that a project may ask for.
    """

    kind: Kind
    name: str
    error: str | None
    limits: Limits = field(default_factory=dict)


def find_measure(name: str) -> Measure:
    """The measure of that name."""
    entry = catalogue.find("measure", name)
    loaded = catalogue.load(entry)
    if not isinstance(loaded, Measure):
        raise _wrong(entry, loaded, "a sfumato.Measure")
    return loaded


@cache
def own_measures() -> Mapping[str, Measure]:
    """Our own measures by name: one pass serves all that are of its kind."""
    return MappingProxyType({n: find_measure(n) for n in catalogue.own_names("measure")})


def find_strategy(name: str) -> Strategy:
    """The strategy of that name, or of ``module:NAME``; its measure can be loaded too."""
    strategy = STRATEGIES.get(name) or _of_others(name)
    if strategy.measure is not None:
        _check_measure(name, strategy.measure)
    return strategy


def find_network(name: str) -> type[Network]:
    """The network of that name."""
    entry = catalogue.find("network", name)
    loaded = catalogue.load(entry)
    if not (isinstance(loaded, type) and issubclass(loaded, Network)):
        raise _wrong(entry, loaded, "a class derived from sfumato.Network")
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(loaded.__abstractmethods__))
        raise CannotLoad(f"the network {name!r} of the package {entry.package} lacks {missing}")
    return loaded


def find_recipe(name: str) -> Recipe:
    """The recipe of that name."""
    entry = catalogue.find("recipe", name)
    loaded = catalogue.load(entry)
    if not isinstance(loaded, Recipe):
        raise _wrong(entry, loaded, "a sfumato.Recipe")
    return loaded


def try_network(name: str) -> type[Network]:
    """The network of that name, which was tried and does its part."""
    network = find_network(name)
    fault = fault_of(network)
    if fault is not None:
        package = catalogue.find("network", name).package
        raise CannotLoad(f"the network {name!r} of the package {package} cannot be used: {fault}")
    return network


def check_settings(name: str, asked: Mapping[str, int]) -> None:
    """Raise ``InvalidInput`` where the network of that name does not take these settings."""
    reason = refusal(name, limits_of(find_network(name)), asked)
    if reason is not None:
        raise InvalidInput(reason)


def make_network(
    name: str, classes: int, channels: int, context: int, width: int, dropout: float
) -> Network:
    """The network of that name with these settings. Raises ``InvalidInput`` too."""
    asked = {"classes": classes, "channels": channels, "context": context, "width": width}
    check_settings(name, asked)
    try:
        return find_network(name)(
            classes, channels=channels, context=context, width=width, dropout=dropout
        )
    except Exception as error:  # a network of somebody else's may raise anything
        raise CannotLoad(
            f"the network {name!r} cannot be built with {asked}: {type(error).__name__}: {error}"
        ) from error


TRIED: dict[Kind, Callable[[str], object]] = {
    "measure": find_measure,
    "strategy": find_strategy,
    "network": try_network,
    "recipe": find_recipe,
}


def report() -> list[Capability]:
    """Every measure, strategy, network and recipe of the catalogue, tried."""
    return [
        _tried(kind, name, find) for kind, find in TRIED.items() for name in catalogue.names(kind)
    ]


def _tried(kind: Kind, name: str, find: Callable[[str], object]) -> Capability:
    error = _error(find, name)
    limits = limits_of(find_network(name)) if kind == "network" and error is None else {}
    return Capability(kind, name, error, limits)


def _error(find: Callable[[str], object], name: str) -> str | None:
    try:
        find(name)
    except SfumatoError as error:
        return str(error)
    return None


def _of_others(name: str) -> Strategy:
    entry = _by_address(name) if ":" in name else catalogue.find("strategy", name)
    if entry.target == catalogue.OF_MEASURE:
        measure, suffix = _halves(name)
        return strategy_of(measure, suffix)
    loaded = catalogue.load(entry)
    if not isinstance(loaded, Strategy):
        raise _wrong(entry, loaded, "a sfumato.Strategy")
    if ":" in name:
        return _named_by_itself(name, loaded)
    return replace(loaded, name=name)


def _by_address(name: str) -> Entry:
    """A strategy in a file of one's own, which no package has registered."""
    return Entry("strategy", name, name, package=name.partition(":")[0])


def _named_by_itself(address: str, strategy: Strategy) -> Strategy:
    """Runs are filed under the name, so it must not be that of another."""
    if strategy.name in catalogue.names("strategy"):
        raise CannotLoad(
            f"the strategy {address!r} calls itself {strategy.name!r}, which is another strategy: "
            f"give it a name of its own"
        )
    try:
        checked_name("strategy", strategy.name)
    except InvalidInput as error:
        raise CannotLoad(str(error)) from error
    return strategy


def _halves(name: str) -> tuple[str, str]:
    """Measure and aggregation: the longest ending that leaves the name of a measure."""
    for suffix in sorted(AGGREGATIONS, key=len, reverse=True):
        measure = name.removesuffix(suffix)
        if name.endswith(suffix) and measure in catalogue.entries("measure"):
            return measure, suffix
    raise UnknownName(f"there is no strategy {name!r}")


def _check_measure(strategy: str, measure: str) -> None:
    try:
        find_measure(measure)
    except UnknownName as error:
        raise CannotLoad(
            f"the strategy {strategy!r} ranks by the measure {measure!r}, which no installed "
            f"package has registered"
        ) from error
    except CannotLoad as error:
        raise CannotLoad(f"the strategy {strategy!r} cannot be used: {error}") from error


def _wrong(entry: Entry, loaded: Any, expected: str) -> CannotLoad:
    found = loaded.__name__ if isinstance(loaded, type) else f"of type {type(loaded).__name__}"
    return CannotLoad(
        f"the {entry.kind} {entry.name!r} of the package {entry.package} is {found}, not {expected}"
    )
