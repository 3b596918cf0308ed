"""One file a measure, named as it is asked for: ``mc_dropout.py`` is ``mc-dropout``."""

from pkgutil import iter_modules


def names() -> tuple[str, ...]:
    """The names of all measures here, in the order of the alphabet; none is loaded."""
    return tuple(sorted(m.name.replace("_", "-") for m in iter_modules(__path__)))
