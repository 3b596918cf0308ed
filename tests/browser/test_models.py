"""Models on the dashboard: what they came to, side by side, and what did not go as it should."""

import re
from typing import Any

from playwright.sync_api import expect
from sqlalchemy import select

from app.store import Database, Job, JobState, ModelVersion, Project, Role


def measured(case: float, other: float) -> dict[str, Any]:
    """What a model came to on two cases, as it is kept."""
    figures = {"dice_case": (case + other) / 2, "hd95_mm": 4.25, "lesions": 3, "lesions_found": 2}
    figures |= {
        "dice_slice": 0.75,
        "lesion_sensitivity": 2 / 3,
        "ece": 0.125,
        "labelled_cases": 2,
        "intervals": {},
    }
    by_case = {name: {"dice": [dice, dice]} for name, dice in (("a", case), ("b", other))}
    return {**figures, "cases": 2, "slices": 9, "classes": [figures, figures], "by_case": by_case}


def keep_models(service, name: str) -> None:
    """Two models as if they had been trained, the second worse than the first."""
    database = Database(f"sqlite:///{service.data / 'sfumato.db'}")
    judged = {"parent": 1, "on": "validation", "ours": 0.6, "theirs": 0.68, "slices": 32}
    with database.writing() as session:
        project = session.scalars(select(Project).where(Project.name == name)).one()
        for number, dice, held_back in ((1, 0.7, None), (2, 0.62, "worse than model 1")):
            job = Job(project_id=project.id, kind="retrain", queue="train", step="train")
            job.state = JobState.SUCCEEDED
            session.add(job)
            session.flush()
            scores = {"labelled": 4 * number, "test": measured(dice, dice + 0.1)}
            session.add(
                ModelVersion(
                    project_id=project.id,
                    number=number,
                    job_id=job.id,
                    architecture={},
                    mask_ids=[],
                    scores={**scores, "judged": judged, "collapses": [{}]},
                    seed=0,
                    seconds=3.0,
                    weights_sha256="0" * 64,
                    held_back=held_back,
                )
            )
    database.dispose()


def test_two_models_are_compared_and_one_that_was_held_back_says_why(service, sign_in):
    project = service.project()
    keep_models(service, project)
    page = sign_in(service.token("head", Role.ADMIN), project, "/dashboard").page
    second = page.locator('tr[data-model="2"]')
    expect(second).to_contain_text("Kept model 1: model 2 was worse by 0.08 on 32 slices.")
    expect(second).to_contain_text("collapsed once")
    expect(second.get_by_text("not used")).to_be_visible()
    expect(page.locator('tr[data-model="1"]').get_by_text("current")).to_be_visible()
    for number in (1, 2):
        page.get_by_label(f"Compare: Model {number}").check()
    compared = page.get_by_label("Models", exact=True).get_by_role("table").last
    # Every case lost 0.08, so the difference is sure.
    row = compared.get_by_role("row", name="Dice per case", exact=False).first
    expect(row).to_contain_text("−0.080 (worse)")
    expect(row).to_contain_text("−0.080 to −0.080")
    expect(compared.get_by_role("row", name="HD95 (mm)")).to_contain_text("the same")
    second.get_by_role("button", name="Figures of model 2").click()
    figures = page.get_by_role("dialog", name="Figures of model 2")
    expect(figures.get_by_text("Measured on the test cases: 2 cases, 9 slices.")).to_be_visible()
    expect(figures.get_by_role("row", name=re.compile("^rim "))).to_contain_text("2 of 3")
    figures.get_by_text("What do these figures mean?").click()
    expect(figures.get_by_text("0 is best").first).to_be_visible()
    figures.get_by_role("button", name="Close").click()
    # An admin may use it all the same.
    second.get_by_role("button", name="Make current").click()
    expect(second.get_by_text("current", exact=True)).to_be_visible()
    expect(second.get_by_text("not used")).to_have_count(0)
