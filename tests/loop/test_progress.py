"""Which models a project's progress is told by."""

from types import SimpleNamespace

from app.loop.progress import comparable


def model(labelled: int, dice: float, on: str = "test", held_back=None, promoted_at=None):
    scores = {"labelled": labelled, on: {"dice_case": dice}}
    return SimpleNamespace(
        number=labelled // 10, scores=scores, held_back=held_back, promoted_at=promoted_at
    )


def dice_of(models) -> list[tuple[int, float]]:
    return [(labelled, found["dice_case"]) for labelled, found in comparable(models)]


def test_with_a_model_that_was_held_back_the_project_has_the_one_before():
    models = [model(10, 0.5), model(20, 0.3, held_back="worse by 0.2"), model(30, 0.6)]
    assert dice_of(models) == [(10, 0.5), (20, 0.5), (30, 0.6)]
    # Unless an admin has made it the current one.
    models[1].promoted_at = "later"
    assert dice_of(models) == [(10, 0.5), (20, 0.3), (30, 0.6)]


def test_after_an_older_model_was_promoted_it_stands_for_one_that_is_held_back():
    models = [model(10, 0.5), model(20, 0.4), model(30, 0.1, held_back="worse by 0.4")]
    models[2].scores["judged"] = {"parent": 1}
    assert dice_of(models) == [(10, 0.5), (20, 0.4), (30, 0.5)]


def test_only_models_of_the_same_kind_of_cases_are_compared():
    models = [model(10, 0.9, on="validation"), model(20, 0.4), model(30, 0.6)]
    assert dice_of(models) == [(20, 0.4), (30, 0.6)]
    across = [model(10, 0.5, on="cross_validation"), model(20, 0.6, on="cross_validation")]
    assert dice_of(across) == [(10, 0.5), (20, 0.6)]
    assert dice_of([]) == []
