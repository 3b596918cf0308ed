"""The page of limits says what the settings are."""

import re
from pathlib import Path

from app.limit_settings import LimitSettings
from app.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
ROW = re.compile(
    r"^\| (?P<what>[^|]+) \| `(?P<name>\w+)` \| (?P<default>[\d.]+) \| [^|]+ \|$", re.M
)
FIELDS = LimitSettings.model_fields


def test_every_limit_stands_in_the_table_with_its_default():
    told = {row["name"]: float(row["default"]) for row in ROW.finditer(PAGE)}
    assert told == {name: field.default for name, field in FIELDS.items()}


def test_zero_is_off_where_the_table_says_so():
    said = {row["name"] for row in ROW.finditer(PAGE) if "(0: off)" in row["what"]}
    assert said == {
        name
        for name, field in FIELDS.items()
        if any(getattr(rule, "ge", None) == 0 for rule in field.metadata)
    }


def test_other_settings_that_the_page_names_are_there():
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE))
    assert named <= set(Settings.model_fields)
