"""What settings a network takes, as ranges: known to the server, which has no torch."""

from collections.abc import Mapping

from app.core.project_settings import MOST_CLASSES, ProjectSettings

Limits = Mapping[str, range]
# What a project may ask for at all (core.project_settings), and how each is spoken of.
ALL: Limits = {
    "classes": range(2, MOST_CLASSES + 1),
    "channels": range(1, 17),
    "context": range(9),
    "width": range(2, 129),
}
_SPOKEN = {"context": "training.context", "width": "training.width"}
_LISTED = 4


def asked_of(settings: ProjectSettings) -> dict[str, int]:
    """The settings that a network may have limits of."""
    return {
        "classes": len(settings.classes),
        "channels": len(settings.channels),
        "context": settings.training.context,
        "width": settings.training.width,
    }


def refusal(network: str, limits: Limits, asked: Mapping[str, int]) -> str | None:
    """Why a network cannot have these settings, in words; None where it can."""
    for name, allowed in limits.items():
        if name in asked and asked[name] not in allowed:
            spoken = _SPOKEN.get(name, f"the number of {name}")
            return (
                f"the network {network!r} takes {_listed(allowed)} for {spoken}, not "
                f"{asked[name]}: choose one of those, or another network"
            )
    return None


def _listed(allowed: range) -> str:
    if len(allowed) <= _LISTED:
        return " or ".join(str(number) for number in allowed)
    if allowed.step == 1:
        return f"{allowed[0]} to {allowed[-1]}"
    return f"{allowed[0]}, {allowed[1]}, {allowed[2]} … {allowed[-1]}"
