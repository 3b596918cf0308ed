"""The windows of CT that reports name are those that the pages show."""

import re
from pathlib import Path

from app.core.windows import CT_WINDOWS

PAGE = Path(__file__).parents[2] / "web/src/draw/window.ts"


def test_reports_and_pages_know_the_same_windows():
    found = re.findall(r"(\w+): \{ width: (\d+), level: (-?\d+) \}", PAGE.read_text())
    assert {name: (int(width), int(level)) for name, width, level in found} == CT_WINDOWS
