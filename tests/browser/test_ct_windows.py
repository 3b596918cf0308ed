"""Windows of CT by their names: where they are offered, by button and by key, and kept."""

from playwright.sync_api import expect


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
