"""Lengths of outlines, against squares that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.core.outlines import outline, outline_to_change

pictures = arrays(np.uint8, (5, 6), elements=st.integers(0, 2))


def square(value: int = 1, at: int = 1) -> np.ndarray:
    classes = np.zeros((6, 8), dtype=np.uint8)
    classes[at : at + 2, at : at + 3] = value
    return classes


def test_an_outline_is_counted_in_sides_of_pixels():
    assert outline(np.zeros((4, 4), dtype=np.uint8)) == 0
    assert outline(square()) == 10
    # The picture's edge is nobody's outline.
    assert outline(square(at=0)) == 5


@pytest.mark.parametrize(
    ("suggested", "to_change"),
    [
        (square(), 0),
        (np.zeros((6, 8), dtype=np.uint8), 10),
        (square(2), 10),
        # The one side that both squares have parts them the other way round.
        (square(at=3), 19),
    ],
)
def test_what_has_to_change_is_counted_once(suggested, to_change):
    assert outline_to_change(suggested, square()) == to_change


@given(pictures, pictures)
def test_nothing_is_to_change_where_both_agree(suggested, wanted):
    assert outline_to_change(wanted, wanted) == 0
    assert outline_to_change(np.zeros_like(wanted), wanted) == outline(wanted)
    assert outline_to_change(suggested, wanted) == outline_to_change(wanted, suggested)
    assert outline_to_change(suggested, wanted) <= outline(suggested) + outline(wanted)
