"""What the workers can load of the catalogue, and whether a project asks for more than that.

A worker reports at its start; a name is accepted only where somebody can answer for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core import catalogue
from app.core.catalogue import Kind
from app.core.errors import CannotLoad, InvalidInput
from app.core.network_limits import Limits, asked_of, refusal
from app.core.project_settings import ProjectSettings
from app.core.streams import STREAMS
from app.store import Worker, database_now

# A worker shows itself at every sweep; one that has not for so long is gone.
_SILENCE = timedelta(seconds=60)

Errors = Mapping[str, Mapping[str, str | None]]
# Beside the kinds in what is kept of a worker: by network and setting, a range's three numbers.
_LIMITS = "network limits"


@dataclass(frozen=True)
class EntryView:
    """A name of the catalogue; ``error`` says why no worker can load it, if that is so."""

    name: str
    package: str
    words: str | None = None
    error: str | None = None


def report_worker(
    session: Session,
    name: str,
    queues: Sequence[str],
    capabilities: Errors,
    now: datetime,
    limits: Mapping[str, Limits] = MappingProxyType({}),
) -> None:
    """Note a worker that starts: by kind and name None, or why it cannot be loaded.

    ``limits``: what a network takes, where that is not all.
    """
    ranges = {
        network: {setting: [r.start, r.stop, r.step] for setting, r in limited.items()}
        for network, limited in limits.items()
    }
    session.execute(delete(Worker).where((Worker.name == name) | (Worker.seen_at < now - _SILENCE)))
    session.add(
        Worker(
            name=name,
            queues=list(queues),
            capabilities={
                **{kind: dict(found) for kind, found in capabilities.items()},
                _LIMITS: ranges,
            },
            started_at=now,
            seen_at=now,
        )
    )


def see_worker(session: Session, name: str, now: datetime) -> bool:
    """Note that a worker is still there; False where it was taken for gone and must report."""
    worker = session.get(Worker, name)
    if worker is not None:
        worker.seen_at = now
    return worker is not None


def forget_worker(session: Session, name: str) -> None:
    """A worker has ended in order."""
    session.execute(delete(Worker).where(Worker.name == name))


def list_catalogue(session: Session, kind: Kind) -> list[EntryView]:
    """All that may be asked for of a kind, those that only workers know included."""
    live = _live(session)
    entries = catalogue.entries(kind)
    others = {name for found in live for name in found.get(kind, {}) if name not in entries}
    return [
        EntryView(
            name=name,
            package=entries[name].package if name in entries else "known to a worker",
            words=STREAMS.get(name) if kind == "stream" else None,
            error=_error(live, kind, name),
        )
        for name in (*entries, *sorted(others))
    ]


def check_names(
    session: Session, settings: ProjectSettings, before: ProjectSettings | None = None
) -> None:
    """Check what is asked for by name, where it differs from before.

    Raises ``UnknownName`` for what nobody knows, ``CannotLoad`` for what no worker can load,
    ``InvalidInput`` for settings that the network does not take.
    """
    if before is None or settings.query.strategy != before.query.strategy:
        _check(session, "strategy", settings.query.strategy)
    if before is None or settings.training.network != before.training.network:
        _check(session, "network", settings.training.network)
    if before is None or settings.training.recipe != before.training.recipe:
        _check(session, "recipe", settings.training.recipe)
    if before is None or _shape(settings) != _shape(before):
        _check_limits(session, settings)


def _shape(settings: ProjectSettings) -> tuple[str, dict[str, int]]:
    return settings.training.network, asked_of(settings)


def _check_limits(session: Session, settings: ProjectSettings) -> None:
    """One worker whose network takes these settings is enough."""
    name, asked = _shape(settings)
    told = [
        found.get(_LIMITS, {}).get(name, {})
        for found in _live(session)
        if found.get("network", {}).get(name, "not there") is None
    ]
    refusals = [
        refusal(name, {setting: range(*r) for setting, r in limits.items()}, asked)
        for limits in told
    ]
    if refusals and None not in refusals:
        raise InvalidInput(str(refusals[0]))


def _check(session: Session, kind: Kind, name: str) -> None:
    live = _live(session)
    if not any(name in found.get(kind, {}) for found in live):
        catalogue.find(kind, name)
        if live:
            raise CannotLoad(
                f"no running worker has the {kind} {name!r}: install its package where the "
                "workers run, and start them again"
            )
    error = _error(live, kind, name)
    if error is not None:
        raise CannotLoad(f"no running worker can load the {kind} {name!r}: {error}")


def _error(live: list[Mapping[str, Mapping[str, Any]]], kind: Kind, name: str) -> str | None:
    """Why no worker can load a name; None if one can, or if none has said."""
    said = [found[kind][name] for found in live if name in found.get(kind, {})]
    return None if not said or None in said else said[0]


def live_workers(session: Session) -> list[Worker]:
    """The workers that have shown themselves of late."""
    seen = select(Worker).where(Worker.seen_at >= database_now(session) - _SILENCE)
    return list(session.scalars(seen.order_by(Worker.name)))


def _live(session: Session) -> list[Mapping[str, Mapping[str, Any]]]:
    return [worker.capabilities for worker in live_workers(session)]
