"""docs/formats.md names what there is: every layout, every writer, every element that is kept."""

from pathlib import Path

from app.core import catalogue
from app.core.catalogue import OURS, Kind
from app.core.windows import CT_WINDOWS
from app.formats.dicom.kept import TECHNICAL

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text()


def ours(kind: Kind) -> set[str]:
    return {name for name, entry in catalogue.entries(kind).items() if entry.package == OURS}


def test_every_format_has_a_row():
    rows = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")}
    assert ours("layout") | ours("writer") | {"dicomweb"} == rows


def test_every_technical_value_and_window_is_listed():
    assert [name for name in TECHNICAL if name not in PAGE] == []
    for name, (width, level) in CT_WINDOWS.items():
        assert f"{name} ({width} at {level})".replace("-", "−") in PAGE
