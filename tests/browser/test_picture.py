"""What the picture shows: its true shape, the sides of the body, channels, values in their unit."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from app.store import Role
from tests.browser.ct import COLUMNS, ROWS
from tests.conftest import pixels_of

# The part of the canvas that is not the board's own dark grey.
DRAWN_RECTANGLE = """() => {
    const canvas = document.querySelector(".board canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] === 11 && data[at + 1] === 12 && data[at + 2] === 14) continue;
        const x = (at / 4) % width;
        const y = (at / 4 - x) / width;
        left = Math.min(left, x); right = Math.max(right, x + 1);
        top = Math.min(top, y); bottom = Math.max(bottom, y + 1);
    }
    return { width: right - left, height: bottom - top };
}"""


def test_a_slice_of_64_by_48_mm_is_drawn_4_to_3_and_drawn_on_exactly(service, sign_in, ct_project):
    tab = sign_in(service.token("shape"), ct_project)
    first = tab.slice
    tab.page.locator(".board[data-view]").wait_for()
    drawn = tab.page.evaluate(DRAWN_RECTANGLE)
    assert drawn["width"] / drawn["height"] == pytest.approx(4 / 3, rel=0.01)
    assert drawn["width"] > 400
    tab.rectangle(10, 60, 20, 80)
    tab.press("b", *["["] * 10)
    tab.drag((30.5, 60.5), (30.5, 79.5))
    # Closer, about a place away from the middle: the pointer still means the same pixels.
    tab.page.mouse.move(*tab.at(45, 70))
    tab.page.keyboard.down("Control")
    tab.page.mouse.wheel(0, -300)
    tab.page.keyboard.up("Control")
    tab.page.wait_for_timeout(100)
    tab.drag((42.5, 70.5), (48.5, 70.5))
    tab.submit()
    expected = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    expected[60:80, 10:20] = 1
    expected[60:80, 30] = 1
    expected[70, 42:49] = 1
    np.testing.assert_array_equal(service.mask_of(first), expected)


def test_letters_say_which_side_of_the_body_lies_at_each_edge(service, sign_in, ct_project):
    page = sign_in(service.token("letters"), ct_project).page
    edges = {
        "left edge of the picture: right side of the patient (R)": "R",
        "right edge of the picture: left side of the patient (L)": "L",
        "top edge of the picture: front of the patient (A)": "A",
        "bottom edge of the picture: back of the patient (P)": "P",
    }
    for words, letter in edges.items():
        expect(page.get_by_label(words)).to_have_text(letter)
    expect(page.get_by_text("Axial", exact=True)).to_be_visible()


def test_window_and_the_value_under_the_pointer_are_in_hounsfield_units(
    service, sign_in, ct_project
):
    tab = sign_in(service.token("units"), ct_project)
    tab.page.locator(".board[data-view]").wait_for()
    tab.press("w", "w", "w")
    tab.page.get_by_role("button", name="Full range").click()
    expect(tab.page.get_by_text("Level 450 HU · Width 1100 HU")).to_be_visible()
    tab.page.mouse.move(*tab.at(30.5, 34.5))
    expect(tab.page.get_by_text("Value 1000 HU at column 30, row 34")).to_be_visible()
    tab.page.mouse.move(*tab.at(30.5, 50.5))
    expect(tab.page.get_by_text("Value −100 HU at column 30, row 50")).to_be_visible()
    tab.page.mouse.move(5, 5)
    expect(tab.page.get_by_text("Point at a pixel")).to_be_visible()


def test_a_reviewer_sees_shape_letters_and_values_too(service, sign_in, ct_project):
    author = sign_in(service.token("ct-author"), ct_project)
    service.admin.patch(f"/projects/{ct_project}", json={"query": {"review": True}})
    author.rectangle(10, 60, 20, 80)
    drawn = author.submit()
    tab = sign_in(service.token("ct-chief", Role.REVIEWER), ct_project, "/review")
    page = tab.page
    page.locator(".pane .board[data-view]").first.wait_for()
    while page.locator(f'.panes[data-slice="{drawn}"]').count() == 0:
        tab.press("n")
        page.wait_for_timeout(200)
    page.locator(".pane .board[data-view]").wait_for()
    found = page.evaluate(DRAWN_RECTANGLE)
    assert found["width"] / found["height"] == pytest.approx(4 / 3, rel=0.01)
    expect(page.get_by_label("left edge of the picture: right side of the patient")).to_have_text(
        "R"
    )
    page.mouse.move(*tab.at(30.5, 34.5))
    expect(page.get_by_text("Value 1000 HU at column 30, row 34")).to_be_visible()
    expect(page.get_by_text("drawn by hand")).to_be_visible()


def test_a_key_goes_from_channel_to_channel_and_the_choice_stays(service, sign_in):
    project = service.project(channels=("flair", "t1"))
    tab = sign_in(service.token("channels"), project)
    first = tab.slice
    page = tab.page
    page.locator(".board[data-view]").wait_for()
    board = page.locator(".board")
    expect(board).to_have_attribute("data-channel", "flair")
    page.mouse.move(*tab.at(30.5, 34.5))
    expect(page.get_by_text(re.compile(r"Value (299|300)\d at"))).to_be_visible()
    tab.rectangle(10, 10, 20, 20)
    tab.press("m")
    expect(board).to_have_attribute("data-channel", "t1")
    page.mouse.move(*tab.at(30.5, 34.5))
    expect(page.get_by_text(re.compile(r"Value (399|400)\d at"))).to_be_visible()
    # The drawing is the slice's, not a channel's; the window is each channel's own.
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    page.get_by_role("button", name="Full range").click()
    page.get_by_role("button", name="flair").click()
    expect(page.get_by_role("button", name="Tissue")).to_have_attribute("aria-pressed", "true")
    tab.press("m")
    expect(page.get_by_role("button", name="Full range")).to_have_attribute("aria-pressed", "true")
    page.wait_for_load_state("networkidle")
    # Enter would press the button that was clicked last.
    page.evaluate("document.activeElement.blur()")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    tab.submit()
    second = tab.wait_for_slice(first)
    expect(board).to_have_attribute("data-channel", "t1")
    # All of its channels had been fetched before it was asked for.
    assert not any(f"/slices/{second}/image" in url for url in asked)
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()
    page.wait_for_load_state("networkidle")
    tab.press("ArrowDown")
    tab.press("ArrowUp", "ArrowUp")
    expect(board).not_to_have_attribute("data-offset", "0")
    expect(board).to_have_attribute("data-channel", "t1")


def test_one_channel_needs_no_buttons(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("one-channel"), project)
    assert tab.slice
    tab.press("m")
    expect(tab.page.get_by_text("Channel", exact=True)).to_have_count(0)
    expect(tab.page.get_by_label("left edge of the picture")).to_have_count(0)


def last_mask(service, slice_id: int) -> dict:
    """What the server knows of the newest mask of a slice."""
    headers = {"Accept": "application/json"}
    return service.admin.get(f"/slices/{slice_id}/masks", headers=headers).json()["items"][-1]


def test_a_mask_says_how_it_came_about(service, sign_in):
    project = service.project(slices=12, size=4)
    tab = sign_in(service.token("origin"), project)
    page = tab.page
    for number in range(4):
        before = tab.slice
        tab.rectangle(20, 24, 40, 44)
        tab.submit()
        assert last_mask(service, before)["origin"] == "drawn"
        if number < 3:
            tab.wait_for_slice(before)
    page.locator(".why", has_text="Round 2").wait_for(timeout=60_000)
    # As it was suggested.
    first = tab.slice
    tab.press("Shift+A")
    tab.submit()
    mask = last_mask(service, first)
    assert mask["origin"] == "accepted"
    assert mask["suggestion_model"] is not None
    # Changed after a reload: the draft remembers where it came from.
    second = tab.wait_for_slice(first)
    tab.press("Shift+A")
    page.wait_for_timeout(200)
    page.reload()
    assert tab.slice == second
    # In a class that is not suggested there.
    suggested = pixels_of(service.admin.get(f"/slices/{second}/suggestion").content)
    tab.press("1" if suggested[3, 3] == 2 else "2")
    tab.rectangle(0, 0, 9, 7)
    tab.submit()
    assert last_mask(service, second)["origin"] == "corrected"
    # Without a look at it.
    third = tab.wait_for_slice(second)
    tab.rectangle(0, 0, 9, 7)
    tab.submit()
    mask = last_mask(service, third)
    assert (mask["origin"], mask["suggestion_model"]) == ("drawn", None)
    # Submitted empty is not the same as said to be blank.
    fourth = tab.wait_for_slice(third)
    tab.submit()
    assert last_mask(service, fourth)["origin"] == "empty"


def test_blank_is_said_and_a_batch_for_variety_is_explained(service, sign_in):
    project = service.project(slices=8, size=4)
    tab = sign_in(service.token("nothing-found"), project)
    page = tab.page
    for number in range(4):
        before = tab.slice
        with page.expect_response(lambda r, at=before: f"/slices/{at}/masks" in r.url) as sent:
            tab.press("n")
        assert "blank=true" in sent.value.url
        assert last_mask(service, before)["origin"] == "blank"
        if number < 3:
            tab.wait_for_slice(before)
    page.locator(".why", has_text="Round 2").wait_for(timeout=60_000)
    notice = page.locator(".notices", has_text="This batch is drawn for variety")
    expect(notice).to_be_visible()
    notice.get_by_role("button", name="Close").click()
    expect(notice).to_have_count(0)
    why = page.locator(".why")
    expect(why).to_contain_text("This batch is drawn for variety")
    expect(why).to_contain_text("It was drawn for variety")
    dashboard = sign_in(service.token("watcher", Role.ADMIN), project, "/dashboard").page
    expect(dashboard.get_by_label("This round")).to_contain_text("drawn for variety")
