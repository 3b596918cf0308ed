"""Windows of CT by their names: where they are offered, by button and by key, and kept."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import import_ct


def test_a_ct_is_looked_at_through_named_windows(service, sign_in, ct_project):
    tab = sign_in(service.token("windows"), ct_project)
    page = tab.page
    page.locator(".board[data-view]").wait_for()
    page.get_by_role("button", name="Bone").click()
    expect(page.get_by_text("Level 400 HU · Width 1800 HU")).to_be_visible()
    tab.press("Shift+L")
    expect(page.get_by_text("Level −600 HU · Width 1500 HU")).to_be_visible()
    expect(page.get_by_role("button", name="Lung")).to_have_attribute("aria-pressed", "true")
    # −100 HU and 1000 HU are both beyond the brain's window, one black and one white.
    tab.press("Shift+B")
    expect(page.get_by_text("Level 40 HU · Width 80 HU")).to_be_visible()
    # Kept for the project, until another is chosen.
    page.reload()
    expect(page.get_by_text("Level 40 HU · Width 80 HU")).to_be_visible()
    tab.press("w")
    expect(page.get_by_role("button", name="Subdural")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Level 75 HU · Width 215 HU")).to_be_visible()


def test_pictures_without_hounsfield_units_have_none_of_them(service, sign_in):
    tab = sign_in(service.token("no-windows"), service.project())
    page = tab.page
    page.locator(".board[data-view]").wait_for()
    tab.press("Shift+B")
    expect(page.get_by_role("button", name="Tissue")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Brain")).to_have_count(0)


# How bright the screen is at a place of the window, 0 to 255.
GREY = """([x, y]) => {
    const canvas = document.querySelector(".board canvas");
    const box = canvas.getBoundingClientRect();
    const [column, row] = [x - box.x, y - box.y].map(
        (from, axis) => Math.floor(from * (axis ? canvas.height / box.height
            : canvas.width / box.width)));
    return canvas.getContext("2d").getImageData(column, row, 1, 1).data[0];
}"""


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_what_a_file_shows_inverted_is_shown_so_with_its_own_values(service, sign_in, photometric):
    """−100 HU around a rectangle of 1000 HU, through the window of bone."""
    tab = sign_in(service.token(f"tone-{photometric}"), import_ct(service, photometric))
    page = tab.page
    page.locator(".board[data-view]").wait_for()
    tab.press("Shift+O")
    expect(page.get_by_text("Level 400 HU · Width 1800 HU")).to_be_visible()
    rectangle = page.evaluate(GREY, tab.at(30.5, 34.5))
    around = page.evaluate(GREY, tab.at(30.5, 70.5))
    # −100 HU lie 400 above the window's lower end, 1000 HU lie 1500 above it, of 1800.
    shown = [round(255 * 400 / 1800), round(255 * 1500 / 1800)]
    if photometric == "MONOCHROME1":
        shown = [255 - grey for grey in shown]
    assert [around, rectangle] == pytest.approx(shown, abs=1)
    page.mouse.move(*tab.at(30.5, 34.5))
    expect(page.get_by_text("Value 1000 HU at column 30, row 34")).to_be_visible()
