"""Which channels of a data set are wanted, by name or number, and what they are called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import VolumeInvalid

COLOURS = ("red", "green", "blue")
# As many as a project may name.
_MOST = 16
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Choice:
    """The channels that come in: their names, and their numbers among the ``offered``.

    ``colour``: three channels that stand for red, green and blue.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    offered: int
    colour: bool = False


def choose(offered: Sequence[str], asked: Sequence[str], where: Path) -> Choice:
    """The channels that are asked for, or all on offer. Raises ``VolumeInvalid``.

    Where there is but one, it goes by whatever name is asked for.
    """
    names = safe_names(offered)
    if not asked and len(names) > _MOST:
        raise VolumeInvalid(
            f"{where} holds {len(names)} channels, a project has at most {_MOST}: choose some "
            f"with --channel, by a number from 0 to {len(names) - 1}"
        )
    if len(asked) == len(names) == 1 and _find(names, offered, asked[0]) is None:
        if asked[0].isdigit():
            raise VolumeInvalid(f"{where} holds one channel, number 0: there is no {asked[0]}")
        return Choice(safe_names(asked), (0,), 1)
    numbers = []
    for name in asked:
        number = _find(names, offered, name)
        if number is None:
            raise VolumeInvalid(
                f"{where} has no channel {name!r}: choose from {', '.join(names)} with --channel, "
                f"by name or by a number from 0 to {len(names) - 1}"
            )
        numbers.append(number)
    if len(set(numbers)) < len(numbers):
        raise VolumeInvalid(f"a channel of {where} is asked for twice: {', '.join(asked)}")
    if not asked:
        return Choice(names, tuple(range(len(names))), len(names))
    # A name stays as it was asked for; a number becomes a name.
    kept = [names[n] if name.isdigit() else name for n, name in zip(numbers, asked, strict=True)]
    return Choice(safe_names(kept), tuple(numbers), len(names))


def choose_colour(asked: Sequence[str], where: Path) -> Choice:
    """Red, green and blue under the three names that are asked for, else ``VolumeInvalid``.

    Any three names do; those of the colours themselves, and numbers, may come in any order.
    """
    if len(asked) != 3:
        raise colour_refused(where)
    if all(_find(COLOURS, COLOURS, name) is not None for name in asked):
        chosen = choose(COLOURS, asked, where)
        return Choice(chosen.names, chosen.numbers, 3, colour=True)
    return Choice(safe_names(asked), (0, 1, 2), 3, colour=True)


def choose_of_pictures(asked: Sequence[str], where: Path) -> Choice:
    """Where only the pictures tell whether they are grey: one name for grey, three for colour."""
    if len(asked) == 3:
        return choose_colour(asked, where)
    if len(asked) > 1:
        raise VolumeInvalid(
            f"{where} cannot give {len(asked)} channels ({', '.join(asked)}): name one for grey "
            "images, or three for coloured ones"
        )
    return choose(["image"], asked, where)


def colour_refused(where: Path) -> VolumeInvalid:
    """The error for a coloured image where no channels stand for its colours."""
    return VolumeInvalid(
        f"{where} is coloured: name three channels for it (--channel red --channel green "
        "--channel blue), or convert it to grey"
    )


def grey_refused(where: Path) -> VolumeInvalid:
    """The error for a grey image where three channels stand for colours."""
    return VolumeInvalid(
        f"{where} is grey, but three channels are asked for: name one channel, or import grey and "
        "coloured images apart"
    )


def numbered(count: int) -> list[str]:
    """Names for channels that nobody has named."""
    return ["image"] if count == 1 else [f"channel-{n}" for n in range(count)]


def safe_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that a project may give its channels, all different."""
    safe: list[str] = []
    for n, name in enumerate(names):
        base = _UNSAFE.sub("-", name).lstrip("._+-").rstrip("-")[:32] or f"channel-{n}"
        one, again = base, 2
        while one in safe:
            one, again = f"{base[:28]}-{again}", again + 1
        safe.append(one)
    return tuple(safe)


def _find(names: Sequence[str], written: Sequence[str], asked: str) -> int | None:
    """By name, as it stands or made safe, then by number, then without regard to case."""
    for among in (names, written):
        if asked in among:
            return list(among).index(asked)
    if asked.isdigit():
        return int(asked) if int(asked) < len(names) else None
    lower = [name.lower() for name in names]
    return lower.index(asked.lower()) if asked.lower() in lower else None
