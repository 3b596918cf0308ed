"""Data that the benchmark's tests share."""

from pathlib import Path

import pytest

from app.formats.phantom import write_phantom


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, cases=10, slices=6, size=32, seed=0)
    return folder
