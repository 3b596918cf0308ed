"""Packages of others, installed for a test: their folder is put on the path."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.core import catalogue

# Brings the measure tsallis, the strategy one-a-case, the layout npy-pairs, the network tiny and
# the recipe plain.
EXAMPLE = Path(__file__).parent / "plugin"


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """The packages of a folder, installed in this process and in those that it starts."""
    before = set(sys.modules)
    packages = {path.stem for path in folder.iterdir() if path.suffix != ".dist-info"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(folder))
            catalogue.entries.cache_clear()
            yield
    finally:
        catalogue.entries.cache_clear()
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in packages:
                del sys.modules[name]


def write_package(folder: Path, files: dict[str, str], entry_points: str) -> None:
    """A package as pip leaves it: modules by name, and what they are registered as."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    information = folder / "broken_example-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-example\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text(entry_points)
