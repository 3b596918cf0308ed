"""`make demo`'s command, whole: what a newcomer sees first. The slowest test there is."""

from pathlib import Path

import pytest

from tests.e2e.test_up import sfumato


@pytest.mark.timeout(900)
def test_the_demo_learns_draws_its_curve_and_leaves_nothing_running(tmp_path):
    folder = tmp_path / "demo"
    ran = sfumato("demo", "--folder", folder, seconds=900)
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = [
        [cell.strip() for cell in line.strip("│ ").split("│")]
        for line in ran.stdout.splitlines()
        if line.startswith("│")
    ]
    assert len(rows) == 5
    dice_per_case = [float(row[3]) for row in rows]
    assert dice_per_case[-1] - dice_per_case[0] >= 0.15
    picture = folder / "learning-curve.png"
    assert str(picture) in ran.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    running = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(folder) in read(entry / "cmdline")
    ]
    assert running == []


def test_the_demo_does_not_empty_a_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refused = sfumato("demo", "--folder", tmp_path)
    assert refused.returncode == 1
    assert "folder of its own" in refused.stderr
    assert (tmp_path / "thesis.tex").exists()


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
