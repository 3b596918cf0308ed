"""The annotator's page, as an annotator uses it."""

import numpy as np
from playwright.sync_api import expect

from tests.browser.conftest import SIZE
from tests.conftest import pixels_of


def blank() -> np.ndarray:
    return np.zeros((SIZE, SIZE), dtype=np.uint8)


def test_what_is_drawn_with_the_mouse_is_what_is_stored(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("ann"), project)
    first = tab.slice
    tab.rectangle(10, 12, 30, 22)
    tab.press("2", "b", *["["] * 8)
    tab.drag((5.5, 40.5), (25.5, 40.5))
    tab.press("1", "f")
    tab.click(50.5, 5.5)
    tab.press("z")
    assert tab.submit() == first
    expected = blank()
    expected[12:22, 10:30] = 1
    expected[40, 5:26] = 2
    np.testing.assert_array_equal(service.mask_of(first), expected)


def test_tools_fill_grow_erase_and_undo_without_limit(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("tools"), project)
    first = tab.slice
    tab.press("g", "2")
    tab.click(30, 30)  # the bright square, by its values
    tab.press("e", *["["] * 8)
    tab.drag((20.5, 24.5), (39.5, 24.5))
    tab.press("l", "1")
    tab.drag((50, 50), (60, 50), (60, 60), (50, 60), (50, 50))
    tab.press(*["Control+z"] * 3)
    expect(tab.page.get_by_role("button", name="Undo")).to_be_disabled()
    tab.press(*["Control+y"] * 3)
    tab.submit()
    stored = service.mask_of(first)
    expected = blank()
    expected[25:44, 20:40] = 2
    np.testing.assert_array_equal(stored[20:48, 16:44], expected[20:48, 16:44])
    assert (stored[50:60, 50:60] == 1).all()


def test_keys_mean_the_drawing_again_after_a_button_was_clicked(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("clicks"), project)
    first = tab.slice
    tab.page.get_by_role("button", name="Polygon").click()
    for corner in ((10, 10), (20, 10), (20, 20), (10, 20)):
        tab.click(*corner)
    tab.press("Enter")
    assert tab.slice == first
    assert tab.submit() == first
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()


def test_a_pen_draws_and_the_hand_that_rests_beside_it_does_not(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("pen"), project)
    first = tab.slice
    tab.press("2", *["["] * 8)
    tablet = tab.page.context.new_cdp_session(tab.page)

    def pen(kind: str, x: float, y: float, **more) -> None:
        place = dict(zip("xy", tab.at(x, y), strict=True))
        event = {"type": kind, "pointerType": "pen", "button": "left", "buttons": 1, **place}
        tablet.send("Input.dispatchMouseEvent", {**event, "clickCount": 1, **more})

    def palm(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", tab.at(*place), strict=True)) for place in places]
        tablet.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    pen("mousePressed", 10.5, 40.5)
    pen("mouseMoved", 30.5, 40.5)
    pen("mouseReleased", 30.5, 40.5, buttons=0)
    where = tab.at(0, 0)
    palm("touchStart", (50, 50))
    palm("touchMove", (40, 45))
    palm("touchEnd")
    # The picture went with the hand, and nothing was drawn there.
    tab.page.wait_for_timeout(100)
    assert tab.at(0, 0) != where
    tab.submit()
    expected = blank()
    expected[40, 10:31] = 2
    np.testing.assert_array_equal(service.mask_of(first), expected)


def test_a_finger_draws_and_two_zoom(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("touch"), project, has_touch=True)
    first = tab.slice
    tab.press(*["["] * 8)
    screen = tab.page.context.new_cdp_session(tab.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def scale() -> float:
        left, right = tab.at(0, 0)[0], tab.at(1, 0)[0]
        return right - left

    touch("touchStart", tab.at(10.5, 40.5))
    touch("touchMove", tab.at(20.5, 40.5))
    touch("touchEnd")
    before = scale()
    (left, top), (right, _) = tab.at(20, 30), tab.at(40, 30)
    touch("touchStart", (left, top))
    touch("touchStart", (left, top), (right, top))
    touch("touchMove", (left - 50, top), (right + 50, top))
    touch("touchEnd")
    tab.page.wait_for_timeout(100)
    assert scale() > 1.2 * before
    tab.submit()
    expected = blank()
    expected[40, 10:21] = 1
    np.testing.assert_array_equal(service.mask_of(first), expected)


def test_a_slice_without_a_finding_is_one_key_and_can_be_taken_back(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("blank"), project)
    first = tab.slice
    with tab.page.expect_response(lambda r: f"/slices/{first}/masks" in r.url):
        tab.press("n")
    second = tab.wait_for_slice(first)
    assert not service.mask_of(first).any()
    tab.press("Backspace")
    assert tab.wait_for_slice(second) == first
    tab.rectangle(0, 0, 4, 4)
    tab.submit()
    assert (service.mask_of(first) == 1).sum() == 16
    assert tab.wait_for_slice(first) == second


def test_the_next_slice_is_there_before_it_is_asked_for(service, sign_in, record_property):
    project = service.project(slices=8)
    tab = sign_in(service.token("quick"), project)
    tab.page.wait_for_load_state("networkidle")
    waits = []
    for _ in range(4):
        before = tab.slice
        asked = []
        tab.page.on("request", lambda request, seen=asked: seen.append(request.url))
        waits.append(
            tab.page.evaluate(
                """(before) => new Promise((done) => {
                    const start = performance.now();
                    const board = document.querySelector(".board");
                    new MutationObserver((_, watch) => {
                        if (board.dataset.slice === before) return;
                        watch.disconnect();
                        requestAnimationFrame(() => done(performance.now() - start));
                    }).observe(board, { attributes: true });
                    const enter = new KeyboardEvent("keydown", { key: "Enter", bubbles: true });
                    document.body.dispatchEvent(enter);
                })""",
                str(before),
            )
        )
        # Whatever is fetched now is for later: what is shown had been fetched already.
        assert not any(f"/slices/{tab.slice}/image" in url for url in asked)
        tab.page.wait_for_load_state("networkidle")
    record_property("milliseconds_to_next_slice", waits)
    print("milliseconds from submit to the next slice:", [round(w) for w in waits])


def test_two_annotators_never_hold_the_same_slice(service, sign_in):
    project = service.project(slices=12)
    tabs = [sign_in(service.token(name), project) for name in ("left", "right")]
    seen = [[], []]
    for _ in range(3):
        for tab, drawn in zip(tabs, seen, strict=True):
            drawn.append(tab.slice)
            tab.submit()
            tab.wait_for_slice(drawn[-1])
    assert len({*seen[0], *seen[1]}) == 6


def test_skipping_needs_a_reason_and_gives_the_slice_to_somebody_else(service, sign_in):
    project = service.project(slices=2, cases=1)
    tab = sign_in(service.token("skipper"), project)
    first = tab.slice
    tab.press("s")
    tab.page.get_by_role("button", name="Motion artefact").click()
    tab.wait_for_slice(first)
    other = sign_in(service.token("other"), project)
    assert other.slice == first
    reasons = service.admin.get(f"/projects/{project}/events").json()["items"]
    assert any(e["detail"].get("reason") == "Motion artefact" for e in reasons)


def test_neighbours_are_looked_at_and_their_masks_copied(service, sign_in):
    project = service.project(slices=3, cases=1)
    tab = sign_in(service.token("copy"), project)
    first = tab.slice
    tab.rectangle(10, 10, 20, 20)
    tab.submit()
    tab.wait_for_slice(first)
    second = tab.slice
    tab.press("ArrowDown" if second < first else "ArrowUp")
    expect(tab.page.get_by_text("to look at only")).to_be_visible()
    tab.drag((40, 40), (50, 50))  # moves the neighbour, draws nothing
    tab.press("0", "r", "c")
    expect(tab.page.get_by_text("to look at only")).to_be_hidden()
    expect(tab.page.get_by_role("button", name="Undo")).to_be_enabled()
    tab.submit()
    np.testing.assert_array_equal(service.mask_of(second), service.mask_of(first))


def test_window_and_level_show_the_image_at_its_full_depth(service, sign_in):
    project = service.project(slices=1, cases=1)
    tab = sign_in(service.token("depth"), project)
    assert tab.slice
    # From the default window, about 1900 ± 1100, to about 1000 ± 200, the noise: 8 bits of the
    # whole range would leave less than 50 greys of it.
    board = tab.page.locator(".board").bounding_box()
    x, y = board["x"] + board["width"] / 2, board["y"] + board["height"] / 2
    tab.page.mouse.move(x + 205, y - 100)
    tab.page.mouse.down(button="right")
    tab.page.mouse.move(x - 204, y + 104, steps=8)
    tab.page.mouse.up(button="right")
    expect(tab.page.get_by_text("Level 10")).to_be_visible()
    shades = tab.page.evaluate(
        """() => {
            const canvas = document.querySelector(".board canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const found = new Set();
            for (let i = 0; i < data.length; i += 4) found.add(data[i]);
            return found.size;
        }"""
    )
    assert shades > 100


def test_the_suggestion_of_a_model_is_accepted_by_part_and_whole(service, sign_in):
    project = service.project(slices=8, size=4)
    annotator = sign_in(service.token("loop"), project)
    for _ in range(4):
        before = annotator.slice
        annotator.rectangle(20, 24, 40, 44)
        annotator.submit()
        if _ < 3:
            annotator.wait_for_slice(before)
    item = annotator.page.locator(".why", has_text="Round 2")
    item.wait_for(timeout=60_000)
    drawn = annotator.slice
    suggested = pixels_of(service.admin.get(f"/slices/{drawn}/suggestion").content)
    annotator.press("Shift+A")
    annotator.press("z", "y")
    annotator.submit()
    np.testing.assert_array_equal(service.mask_of(drawn), suggested)
