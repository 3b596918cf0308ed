"""`sfumato export` as it is typed."""

import json
import subprocess
import sys

import numpy as np

from app.formats.case import CaseVolume, ChannelStack
from app.store import Database
from app.store.migrate import migrate
from tests.exports import keep, labels_of, make_project


def sfumato(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_formats_and_choices_are_options_and_left_out_cases_are_named(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    database = Database(f"sqlite:///{data / 'sfumato.db'}")
    migrate(database)
    make_project(database)
    for name, widths in (("good", (5, 5)), ("bad", (5, 6))):
        for index, width in enumerate(widths):
            pixels = np.full((1, 4, width), index, dtype=np.uint8)
            volume = CaseVolume((ChannelStack(pixels),), first_index=index)
            keep(database, name, volume, labels_of(volume))
    database.dispose()
    asked = ("export", "--project", "brain", "--data", data)
    chosen = ("--format", "nnunet", "--only", "accepted", "--licence", "CC0")
    done = sfumato(*asked, "--out", tmp_path / "out", *chosen, cwd=tmp_path)
    assert "1 cases with 2 masks" in done.stdout
    assert "bad: its slices differ in size (5 × 4, 6 × 4)" in done.stderr
    assert done.returncode == 1
    assert (tmp_path / "out" / "Dataset001_brain" / "labelsTr" / "good.nii.gz").exists()
    card = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert card["license"] == "CC0"
    for wrong, says in (
        (("--format", "stl"), "choose one of coco, decathlon"),
        (("--only", "rejected"), "--only takes accepted"),
        (("--reader", "eve"), "choose one of import"),
        (("--out", tmp_path / "out"), "is there already"),
    ):
        refused = sfumato(*asked, "--out", tmp_path / "other", *wrong, cwd=tmp_path)
        assert refused.returncode == 1
        assert says in refused.stderr.replace("\n", " ")
        assert "Traceback" not in refused.stderr
