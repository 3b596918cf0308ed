"""What a slice takes an annotator, by hand."""

import json

import pytest

from app.core.effort import Effort, read_effort
from app.core.errors import InvalidInput

PEN = Effort(slice_seconds=5, pixel_seconds=0.2, clear_seconds=1)


@pytest.mark.parametrize(
    ("outline", "suggested", "to_change", "seconds"),
    [
        (0, False, 0, 5),  # blank, and nothing suggested: a look
        (100, False, 0, 25),  # drawn from nothing
        (100, True, 0, 5),  # a suggestion that is taken as it is
        (100, True, 30, 11),  # one that is corrected
        (100, True, 150, 26),  # one that is better taken away
        (0, True, 80, 6),  # a target that is none
    ],
)
def test_the_shorter_way_is_taken(outline, suggested, to_change, seconds):
    assert PEN.seconds(outline, suggested, to_change) == pytest.approx(seconds)


def test_seconds_are_read_from_a_file(tmp_path):
    path = tmp_path / "effort.json"
    path.write_text(json.dumps({"slice_seconds": 3}))
    assert read_effort(path) == Effort(slice_seconds=3)
    for content, words in (("{", "holds no seconds"), ('{"slice": 3}', "slice")):
        path.write_text(content)
        with pytest.raises(InvalidInput, match=words):
            read_effort(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_effort(tmp_path / "none.json")
