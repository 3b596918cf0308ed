"""What of the database's figures is shown as which of Prometheus' gauges."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.loop.figures import Figures
from app.loop.project_figures import ModelFigures, ProjectFigures, RoundFigures

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]


@dataclass(frozen=True)
class Gauge:
    """A metric, and where its values are found: ``of`` gives one for each set of ``labels``."""

    name: str
    words: str
    labels: Labels
    of: Callable[[Figures], Samples]


def _by_pair(counts: str) -> Callable[[Figures], Samples]:
    return lambda found: getattr(found, counts).items()


def _by_one(values: str) -> Callable[[Figures], Samples]:
    return lambda found: [((label,), value) for label, value in getattr(found, values).items()]


def _of_projects(of: Callable[[ProjectFigures], float]) -> Callable[[Figures], Samples]:
    return lambda found: [((one.name,), of(one)) for one in found.of_projects]


def _of_rounds(of: Callable[[RoundFigures], float]) -> Callable[[Figures], Samples]:
    return lambda found: [
        ((one.name,), of(one.round)) for one in found.of_projects if one.round is not None
    ]


def _of_models(of: Callable[[ModelFigures], float]) -> Callable[[Figures], Samples]:
    return lambda found: [
        ((one.name,), of(one.model)) for one in found.of_projects if one.model is not None
    ]


def _dice(found: Figures) -> Samples:
    for project in found.of_projects:
        model = project.model
        if model is not None and model.on is not None:
            for kind, value in model.dice.items():
                yield (project.name, kind, model.on), value


def _backup(found: Figures) -> Samples:
    made = found.backup_made_at
    return [] if made is None else [((), made.timestamp())]


GAUGES = (
    Gauge("sfumato_jobs", "Jobs.", ("queue", "state"), _by_pair("jobs")),
    Gauge(
        "sfumato_job_waiting_seconds",
        "Age of the oldest job that waits for a worker.",
        ("queue",),
        _by_one("waiting"),
    ),
    Gauge(
        "sfumato_job_silent_seconds",
        "Longest time since a running job showed life.",
        ("queue",),
        _by_one("silent"),
    ),
    Gauge("sfumato_workers", "Workers that are there.", ("queue",), _by_one("workers")),
    Gauge("sfumato_transfers", "Imports and exports.", ("kind", "state"), _by_pair("transfers")),
    Gauge("sfumato_projects", "Projects.", (), lambda found: [((), found.projects)]),
    Gauge(
        "sfumato_round_number",
        "Number of the open round.",
        ("project",),
        _of_rounds(lambda one: one.number),
    ),
    Gauge(
        "sfumato_round_opened_timestamp_seconds",
        "When the open round was opened.",
        ("project",),
        _of_rounds(lambda one: one.opened_at.timestamp()),
    ),
    Gauge(
        "sfumato_round_asked",
        "Slices that the open round asks for.",
        ("project",),
        _of_rounds(lambda one: one.asked),
    ),
    Gauge(
        "sfumato_round_answered",
        "Slices of the open round that have a label.",
        ("project",),
        _of_rounds(lambda one: one.answered),
    ),
    Gauge(
        "sfumato_leases",
        "Slices that are in somebody's hands.",
        ("project",),
        _of_projects(lambda one: one.leases.held),
    ),
    Gauge(
        "sfumato_leases_of_one",
        "Slices in the hands of the one person who holds most.",
        ("project",),
        _of_projects(lambda one: one.leases.most_by_one),
    ),
    Gauge(
        "sfumato_lease_oldest_seconds",
        "How long the oldest lease is held, renewals included.",
        ("project",),
        _of_projects(lambda one: one.leases.oldest_seconds),
    ),
    Gauge(
        "sfumato_retraining_failed",
        "1 where the newest retraining failed.",
        ("project",),
        _of_projects(lambda one: float(one.retraining_failed)),
    ),
    Gauge(
        "sfumato_model_number",
        "Number of the current model.",
        ("project",),
        _of_models(lambda one: one.number),
    ),
    Gauge(
        "sfumato_model_made_timestamp_seconds",
        "When the current model was made.",
        ("project",),
        _of_models(lambda one: one.created_at.timestamp()),
    ),
    Gauge(
        "sfumato_model_dice",
        "Dice of the current model, by case or slice, and what it was measured on.",
        ("project", "per", "measured_on"),
        _dice,
    ),
    Gauge(
        "sfumato_backup_made_timestamp_seconds",
        "When `sfumato backup` last ended well; absent if it never did.",
        (),
        _backup,
    ),
    Gauge(
        "sfumato_database_size_bytes",
        "What the database takes on its disk.",
        (),
        lambda found: [((), found.database_bytes)],
    ),
)
