"""What the command line asks for, as settings and a plan; a mistake in it is named here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core import catalogue
from app.core.errors import InvalidInput
from app.core.project_settings import ProjectSettings, in_words, with_assignments
from app.formats.layout import find_layout
from worker.benchmark.plan import Plan, names_of, seeds_of
from worker.benchmark.record import FULL
from worker.benchmark.settings import PRESETS, BenchmarkSettings
from worker.registry import check_settings, find_recipe, find_strategy, try_network


@dataclass(frozen=True)
class Asked:
    """The command line."""

    data: Path | None
    strategies: str
    seeds: str
    preset: str | None = None
    rounds: int | None = None
    initial: int | None = None
    query: int | None = None
    init: str | None = None
    precision: str | None = None
    layout: str | None = None
    assignments: tuple[str, ...] = ()


def settings_of(asked: Asked) -> BenchmarkSettings:
    """The preset, changed by what the command line says. Raises ``InvalidInput``."""
    if asked.preset is not None and asked.preset not in PRESETS:
        raise InvalidInput(
            f"there is no preset {asked.preset!r}: choose one of {', '.join(PRESETS)}"
        )
    base = PRESETS[asked.preset] if asked.preset else BenchmarkSettings()
    sizes = {"size": asked.query, "initial_size": asked.initial}
    query = base.query.model_copy(update={k: v for k, v in sizes.items() if v is not None})
    changed = with_assignments(
        ProjectSettings(query=query, training=base.training), list(asked.assignments)
    )
    values: dict[str, Any] = base.model_dump() | {
        "preset": asked.preset,
        "query": changed.query.model_dump(),
        "training": changed.training.model_dump(),
    }
    if asked.rounds is not None:
        values["rounds"] = asked.rounds
    if asked.init is not None:
        values["init"] = asked.init
    if asked.precision is not None:
        values["precision"] = asked.precision
    if asked.layout is not None:
        values["ground"]["layout"] = asked.layout
    try:
        return BenchmarkSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(f"these settings cannot be used: {in_words(error)}") from error


def plan_of(asked: Asked, settings: BenchmarkSettings) -> Plan:
    """Which strategies run on which seeds. Raises ``InvalidInput`` for what cannot be used."""
    written = names_of(
        asked.strategies, catalogue.PAPER_STRATEGIES, catalogue.own_names("strategy")
    )
    # The network of all labels is trained on every seed: alone, it is all that is asked for.
    sources = {find_strategy(name).name: name for name in written if name != FULL}
    training = settings.training
    try_network(training.network)
    check_settings(training.network, {"context": training.context, "width": training.width})
    find_recipe(training.recipe)
    find_layout(settings.ground.layout)
    try:
        seeds = seeds_of(asked.seeds)
    except ValueError as error:
        raise InvalidInput(f"seeds are {asked.seeds!r}: write 3, 100-104 or 1,5") from error
    if not written or not seeds:
        raise InvalidInput("there is nothing to run: name a strategy and a seed")
    return Plan(settings, sources, seeds)


def check_sizes(settings: BenchmarkSettings, pool: int) -> None:
    """Raise ``InvalidInput`` where the pool has fewer slices than the rounds would label."""
    wanted = settings.labelled(settings.rounds)
    if wanted > pool:
        raise InvalidInput(
            f"{settings.rounds} rounds of {settings.query.size} after {settings.initial} label "
            f"{wanted} slices, the pool has {pool}: ask for less with --rounds or --query"
        )
