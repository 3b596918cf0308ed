"""Text and numbers from outside: what may be kept, the same for every engine."""

import json
import math

import pytest
from pydantic import ValidationError

from app.core.plain import Strict, plain, unfit
from app.core.project_settings import ProjectSettings


@pytest.mark.parametrize("good", ["", "a b", "Größe", "脳", "two\nlines\tof text", "👩‍⚕️"])
def test_what_people_write_is_kept(good):
    assert unfit(good) is None
    assert plain(good) == good


@pytest.mark.parametrize(
    ("bad", "code"),
    [("a\x00b", "U+0000"), ("\x1b[31m", "U+001B"), ("a\u202eb", "U+202E"), ("\ud800", "U+D800")],
)
def test_what_nobody_can_see_is_refused_by_its_number(bad, code):
    assert unfit(bad) == code
    with pytest.raises(ValueError, match=f"comment.text\\[1\\] holds the character U\\{code[1:]}"):
        plain({"comment": {"text": ["fine", bad]}})


def test_one_letter_is_one_letter():
    assert plain({"name": "u\u0308ber"}) == {"name": "\u00fcber"}


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 2**63, -(2**70)])
def test_numbers_are_finite_and_of_64_bits(number):
    with pytest.raises(ValueError, match=r"query\.size"):
        plain({"query": {"size": number}})
    assert plain({"n": 2**63 - 1, "x": -0.5, "b": True, "z": None})["n"] == 2**63 - 1


def test_levels_without_an_end_are_refused_before_the_stack_ends():
    for text in ("[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500):
        with pytest.raises(ValueError, match="levels deep"):
            plain({"query": json.loads(text)})


def test_models_of_the_outside_hold_to_it():
    class Body(Strict):
        name: str
        share: float = 0.5

    assert Body.model_validate({"name": "u\u0308"}).name == "\u00fc"
    for bad in ({"name": "a\x00"}, {"name": "a", "share": math.inf}, {"name": "a", "more": 1}):
        with pytest.raises(ValidationError):
            Body.model_validate(bad)
    with pytest.raises(ValidationError, match=r"query\.stop_below is inf"):
        ProjectSettings.model_validate({"query": {"stop_below": math.inf}})
