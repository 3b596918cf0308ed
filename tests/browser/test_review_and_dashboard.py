"""The reviewer's queue and the dashboard, and whether all of it can be used without a mouse."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from app.store import Role
from tests.conftest import mask

ROOT = Path(__file__).parents[2]


def answer(service, project: str, name: str, corner: int, count: int = 1) -> list[int]:
    """Masks of an annotator over HTTP; the slices they are of."""
    token = service.token(name)
    headers = {"Authorization": f"Bearer {token}"}
    where = {"project": project, "size": count}
    items = service.admin.get("/query/next", params=where, headers=headers).json()["items"]
    for item in items:
        body = mask(size=64, corner=corner)
        path = f"/slices/{item['slice']}/masks"
        assert service.admin.post(path, content=body, headers=headers).status_code == 201
    return [item["slice"] for item in items]


def test_a_reviewer_rejects_and_the_author_sees_why_and_mends_it(service, sign_in):
    project = service.project(review=True)
    author = sign_in(service.token("author"), project)
    drawn = author.slice
    author.rectangle(10, 10, 20, 20)
    author.submit()

    reviewer = sign_in(service.token("chief", Role.REVIEWER), project, "/review")
    reviewer.page.locator(f'.panes[data-slice="{drawn}"]').wait_for()
    reviewer.press("x")
    reviewer.page.get_by_label("What must be changed?").fill("The rim is missing")
    reviewer.page.get_by_role("button", name="Send back").click()
    expect(reviewer.page.get_by_text("No mask waits for a review.")).to_be_visible()

    author.page.reload()
    author.page.locator(f'.board[data-slice="{drawn}"]').wait_for()
    expect(author.page.get_by_text("The rim is missing")).to_be_visible()
    author.rectangle(20, 10, 30, 20)
    author.submit()

    reviewer.page.get_by_role("button", name="Look again").click()
    reviewer.page.locator(f'.panes[data-slice="{drawn}"]').wait_for()
    expect(reviewer.page.get_by_text("rejected: The rim is missing")).to_be_visible()
    reviewer.press("a")
    expect(reviewer.page.get_by_text("No mask waits for a review.")).to_be_visible()
    assert (service.mask_of(drawn)[10:20, 10:30] == 1).all()


def test_two_readings_lie_side_by_side_and_become_a_consensus(service, sign_in):
    project = service.project(readers_per_slice=2, review=True)
    (drawn,) = answer(service, project, "first", 10)
    assert answer(service, project, "second", 12) == [drawn]
    reviewer = sign_in(service.token("judge", Role.REVIEWER), project, "/review")
    reviewer.page.locator(f'.panes[data-slice="{drawn}"]').wait_for()
    expect(reviewer.page.get_by_text("Consensus").first).to_be_visible()
    # Squares of 10 × 10 and 12 × 12: Dice 2 · 100 / 244.
    reviewer.page.get_by_role("radio", name="first").check()
    expect(reviewer.page.get_by_text("Dice 0.820")).to_be_visible()
    reviewer.page.get_by_role("button", name="Disagreement").click()
    expect(reviewer.page.get_by_text("44 pixels differ")).to_be_visible()
    reviewer.page.get_by_role("button", name="Side by side").click()
    expect(reviewer.page.locator(".pane")).to_have_count(3)
    reviewer.page.get_by_role("radio", name="second").check()
    reviewer.press("a")
    expect(reviewer.page.get_by_text("No mask waits for a review.")).to_be_visible()
    assert service.mask_of(drawn).sum() == 144


def test_a_reviewer_edits_and_that_is_what_trains(service, sign_in):
    project = service.project(review=True)
    (drawn,) = answer(service, project, "hasty", 10)
    reviewer = sign_in(service.token("editor", Role.REVIEWER), project, "/review")
    reviewer.page.locator(f'.panes[data-slice="{drawn}"]').wait_for()
    reviewer.press("e")
    reviewer.page.get_by_role("button", name="Clear").click()
    reviewer.page.get_by_role("button", name="Polygon").click()
    for corner in ((30, 30), (40, 30), (40, 40), (30, 40), (30, 30)):
        reviewer.click(*corner)
    reviewer.page.get_by_role("button", name="Submit as accepted").click()
    expect(reviewer.page.get_by_text("No mask waits for a review.")).to_be_visible()
    expected = np.zeros((64, 64), dtype=np.uint8)
    expected[30:40, 30:40] = 1
    np.testing.assert_array_equal(service.mask_of(drawn), expected)


def test_a_reviewer_looks_at_neighbours_and_edits_by_keys_without_losing_it(service, sign_in):
    project = service.project(review=True)
    (drawn,) = answer(service, project, "author", 10)
    reviewer = sign_in(service.token("keys", Role.REVIEWER), project, "/review")
    page = reviewer.page
    page.locator(f'.panes[data-slice="{drawn}"] .board[data-view]').wait_for()
    reviewer.press("ArrowDown")
    reviewer.press("ArrowUp", "ArrowUp")
    expect(page.locator(".board")).not_to_have_attribute("data-offset", "0")
    reviewer.press("0")
    expect(page.locator(".board")).to_have_attribute("data-offset", "0")
    reviewer.press("e")
    page.locator(".edit .board[data-view]").wait_for()
    reviewer.press("2")
    expect(page.get_by_role("radio", name="rim")).to_be_checked()
    reviewer.rectangle(30, 30, 40, 40)
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    # The browser crashes here: the edit is still there when it is taken up again.
    page.reload()
    page.locator(f'.panes[data-slice="{drawn}"]').wait_for()
    reviewer.press("e")
    page.locator(".edit .board[data-view]").wait_for()
    reviewer.press("Enter")
    expect(page.get_by_text("No mask waits for a review.")).to_be_visible()
    expected = np.zeros((64, 64), dtype=np.uint8)
    expected[:10, :10] = 1
    expected[30:40, 30:40] = 2
    np.testing.assert_array_equal(service.mask_of(drawn), expected)


def test_an_admin_retrains_and_sees_it_move_and_the_curve_gain_a_point(service, sign_in):
    # Long enough to be seen at work.
    project = service.project(slices=12, epochs=40, size=4)
    answer(service, project, "worker", 10, count=3)
    admin = sign_in(service.token("boss", Role.ADMIN), project, "/dashboard")
    page = admin.page
    expect(page.get_by_text("There is no model yet").first).to_be_visible()
    page.get_by_role("button", name="Retrain now").click()
    running = page.locator('[data-job][data-state="running"]')
    # The service's one worker may be at other tests' projects still.
    running.wait_for(timeout=150_000)
    expect(running).to_contain_text(re.compile(r"(epoch|step) \d+ of \d+"), timeout=30_000)
    page.locator('[data-job][data-state="succeeded"]').wait_for(timeout=150_000)
    page.locator('[data-points="1"]').wait_for(state="attached", timeout=20_000)
    expect(page.get_by_text("Round 2, chosen by entropy-selective")).to_be_visible()
    # The map is drawn for whoever looks at it, and not before.
    page.get_by_role("heading", name="Map of the pool").scroll_into_view_if_needed()
    expect(page.locator(".map[data-points]")).to_be_visible(timeout=30_000)
    page.locator(".gallery").scroll_into_view_if_needed()
    expect(page.locator(".gallery canvas").first).to_be_visible()
    # A second model, then back to the first.
    answer(service, project, "worker", 12, count=2)
    page.get_by_role("button", name="Retrain now").click()
    page.locator('[data-points="2"]').wait_for(state="attached", timeout=150_000)
    first = page.locator('tr[data-model="1"]')
    models = service.admin.get("/models", params={"project": project}).json()["items"]
    used = len(models[0]["training_masks"])
    first.get_by_role("button", name=str(used), exact=True).click()
    dialog = page.get_by_role("dialog", name=f"Model 1 was trained on {used} masks")
    expect(dialog.get_by_text("worker")).to_have_count(used)
    expect(dialog.locator("canvas").first).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    first.get_by_role("button", name="Make current").click()
    expect(first.get_by_text("current")).to_be_visible()
    for number in (1, 2):
        page.get_by_label(f"Compare: Model {number}").check()
    expect(page.get_by_text(re.compile(r"\d+ masks more"))).to_be_visible()


def test_an_admin_changes_the_next_round_and_makes_and_revokes_tokens(service, sign_in):
    project = service.project()
    page = sign_in(service.token("root", Role.ADMIN), project, "/dashboard").page
    page.locator('select[name="query.strategy"]').select_option("clasp")
    page.locator('input[name="query.target_threshold"]').fill("0.3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    changed = service.admin.get(f"/projects/{project}").json()["query"]
    assert (changed["strategy"], changed["target_threshold"]) == ("clasp", 0.3)
    page.locator('input[name="query.target_threshold"]').fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("these settings cannot be used")).to_be_visible()

    name = f"new-{project}"
    panel = page.get_by_label("Tokens")
    panel.get_by_label("Name").fill(name)
    panel.get_by_role("button", name="Make a token").click()
    text = panel.locator("code.token").inner_text()
    headers = {"Authorization": f"Bearer {text}"}
    assert service.admin.get("/projects", headers=headers).status_code == 200
    panel.get_by_role("row", name=name).get_by_role("button", name="Revoke").click()
    expect(panel.get_by_role("row", name=name).get_by_text("revoked")).to_be_visible()
    assert service.admin.get("/projects", headers=headers).status_code == 401


def test_what_is_typed_while_settings_are_saved_stays(service, sign_in):
    project = service.project()
    page = sign_in(service.token("root", Role.ADMIN), project, "/dashboard").page
    threshold = page.locator('input[name="query.target_threshold"]')
    save = page.get_by_role("button", name="Save")
    held: list[Route] = []
    page.route(
        f"**/projects/{project}",
        lambda route: held.append(route) if route.request.method == "PATCH" else route.continue_(),
    )
    threshold.fill("0.3")
    with page.expect_request(lambda request: request.method == "PATCH"):
        save.click()
    threshold.fill("0.4")
    held.pop().continue_()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(threshold).to_have_value("0.4")
    with page.expect_request(lambda request: request.method == "PATCH"):
        save.click()
    with page.expect_response(lambda reply: reply.request.method == "PATCH"):
        held.pop().continue_()
    assert service.admin.get(f"/projects/{project}").json()["query"]["target_threshold"] == 0.4
    expect(save).to_be_disabled()


def test_annotators_see_no_levers_and_no_review(service, sign_in):
    project = service.project()
    page = sign_in(service.token("plain"), project, "/dashboard").page
    expect(page.get_by_text("This round")).to_be_visible()
    expect(page.get_by_role("button", name="Retrain now")).to_have_count(0)
    expect(page.get_by_label("Tokens")).to_have_count(0)
    expect(page.get_by_role("link", name="Review")).to_have_count(0)


@pytest.mark.parametrize("path", ["/", "/review", "/dashboard"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(service, sign_in, path, scheme):
    axe = (ROOT / "web/node_modules/axe-core/axe.min.js").read_text()
    project = service.project()
    answer(service, project, "somebody", 10)
    # The policy of our pages lets no script of others in, not even the examiner's.
    options = {"bypass_csp": True, "color_scheme": scheme}
    page = sign_in(service.token("axe", Role.ADMIN), project, path, **options).page
    page.wait_for_load_state("networkidle")
    page.add_script_tag(content=axe)
    found = page.evaluate("() => axe.run()")
    serious = [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("path", ["/", "/review", "/dashboard"])
def test_pages_fit_a_small_screen(service, sign_in, path):
    project = service.project()
    answer(service, project, "small", 10)
    page = sign_in(service.token("narrow", Role.ADMIN), project, path).page
    page.set_viewport_size({"width": 1024, "height": 640})
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1024
    if path != "/dashboard":
        main = {"/": "Submit", "/review": "Accept"}[path]
        expect(page.get_by_role("button", name=main, exact=False).last).to_be_in_viewport()


def test_pages_forbid_scripts_of_others_and_cookies_need_their_proof(service, browser):
    context = browser.new_context()
    page = context.new_page()
    reply = page.goto(service.url)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page.get_by_label("Your token").fill(service.token("cookie", Role.ADMIN))
    page.get_by_role("button", name="Sign in").click()
    page.locator("header.bar").wait_for()
    (cookie,) = context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
    jar = {cookie["name"]: cookie["value"]}
    import httpx

    bare = httpx.post(f"{service.url}/projects", json={"name": "x"}, cookies=jar)
    assert bare.status_code == 403
    context.close()
