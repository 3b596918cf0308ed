"""Seconds are fitted to what people drew, on both databases."""

import numpy as np
import pytest

from app.core.errors import InvalidInput
from app.loop.annotation_effort import Drawing, drawings, fit, fit_effort
from app.store import Label, Mask, MaskOrigin, MaskSource, Project
from tests.worker.projects import label_batch, make_project


def test_seconds_are_found_in_spite_of_breaks():
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 400, 200)
    drawn = [Drawing(4 + 0.15 * s + rng.normal(0, 1), int(s)) for s in sides]
    for n in range(0, 200, 20):
        drawn[n] = Drawing(drawn[n].seconds + 600, drawn[n].drawn)
    found = fit(drawn)
    assert found.effort.slice_seconds == pytest.approx(4, abs=1)
    assert found.effort.pixel_seconds == pytest.approx(0.15, abs=0.01)
    assert found.median_error < 2
    with pytest.raises(InvalidInput, match="19 masks were drawn by hand"):
        fit(drawn[:19])


def test_what_was_drawn_is_the_outline_of_masks_by_hand(database):
    project = make_project(database)
    label_batch(database, project)
    with database.writing() as session:
        masks = session.query(Mask).join(Label, Label.mask_id == Mask.id).all()
        assert masks
        for mask in masks:
            # As somebody at the page would have sent them; the project's are an oracle's.
            mask.source, mask.origin, mask.seconds = MaskSource.HUMAN, MaskOrigin.DRAWN, 12.0
        masks[0].seconds = None
    with database.reading() as session:
        project = session.get_one(Project, project.id)
        found = drawings(session, project)
        assert len(found) == len(masks) - 1
        assert {one.seconds for one in found} == {12.0}
        assert all(one.drawn > 0 for one in found)
        if len(found) < 20:
            with pytest.raises(InvalidInput, match="to fit seconds takes 20"):
                fit_effort(session, project)
