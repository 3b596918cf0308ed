"""The installation's figures as Prometheus' gauges: those of the database, and the data's disk."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.loop.figures import Figures
from app.observing.disk import room
from app.observing.gauges import GAUGES, Labels, Samples
from app.observing.glance import Glance

_DISK = {
    "free_bytes": "Room that is left on the disk of the data folder.",
    "size_bytes": "All room on the disk of the data folder.",
    "free_inodes": "Files that the disk of the data folder still takes.",
    "inodes": "Files that the disk of the data folder takes at most.",
}


@dataclass(frozen=True)
class Seen:
    """Figures, and the seconds that reading them took."""

    figures: Figures
    seconds: float


class Projects(Collector):
    """Gives Prometheus what a glance at the database showed of projects, by their names."""

    def __init__(self, seen: Glance[Seen]) -> None:
        self._seen = seen

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: names are not checked beforehand, which would read the database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges that name a project."""
        yield from _gauges(self._seen.look(), named=True)


class Installation(Collector):
    """Gives Prometheus what a glance at the database showed, without names, and the room on the
    data's disk.
    """

    def __init__(self, seen: Glance[Seen], data: Path) -> None:
        self._seen = seen
        self._data = data

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: names are not checked beforehand, which would read the database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges. While the database is away, those of it have names and no values."""
        seen = self._seen.look()
        reachable = "1 where this process could read the database."
        yield _family("sfumato_database_up", reachable, (), [((), float(seen is not None))])
        took = "Seconds that reading these figures took."
        seconds: Samples = [((), seen.seconds)] if seen else []
        yield _family("sfumato_database_read_seconds", took, (), seconds)
        yield from _gauges(seen, named=False)
        yield from _disk(self._data)


def _gauges(seen: Seen | None, named: bool) -> Iterator[GaugeMetricFamily]:
    for gauge in GAUGES:
        if ("project" in gauge.labels) is named:
            samples = gauge.of(seen.figures) if seen else []
            yield _family(gauge.name, gauge.words, gauge.labels, samples)


def _family(name: str, words: str, labels: Labels, samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _disk(folder: Path) -> Iterator[GaugeMetricFamily]:
    """Of this process' machine, not of the installation: each may have its own."""
    try:
        found = asdict(room(folder))
    except OSError:
        found = {}
    for name, words in _DISK.items():
        value = found.get(name)
        yield _family(f"sfumato_disk_{name}", words, (), [] if value is None else [((), value)])
