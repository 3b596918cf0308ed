"""Data sets in and out through the page: checked, watched, reported, cancelled, deleted."""

import re
import zipfile

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.store import Role
from tests.browser.test_review_and_dashboard import answer
from tests.conftest import png_of


@pytest.fixture
def archive(tmp_path):
    """Three pictures of a case, and one that is none."""
    path = tmp_path / "upload.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as packed:
        for index in range(3):
            values = rng.integers(0, 4096, (64, 64)).astype(np.uint16)
            packed.writestr(f"images/case-9/{index}.png", png_of(values))
        packed.writestr("images/case-10/0.png", b"no picture")
    return path


@pytest.fixture
def dashboard(service, sign_in):
    """An admin's dashboard of a new project, and the project's name."""

    def open_dashboard(name: str) -> tuple[Page, str]:
        project = service.project()
        page = sign_in(service.token(name, Role.ADMIN), project, "/dashboard").page
        settled(page)
        return page, project

    return open_dashboard


def settled(page: Page) -> None:
    """Wait until the panels above have come in: one that does moves the button of a click."""
    page.wait_for_function(
        """() => {
            const before = window.heightBefore;
            window.heightBefore = document.querySelector("main.dashboard")?.scrollHeight ?? 0;
            return before > 0 && before === window.heightBefore;
        }""",
        polling=500,
    )


def import_panel(page: Page, archive):
    panel = page.get_by_label("Import", exact=True)
    panel.get_by_label("Layout").select_option("png")
    panel.get_by_label("Archive").set_input_files(str(archive))
    return panel


def slices_of(service, project: str) -> int:
    reply = service.admin.get(f"/projects/{project}/slices", params={"limit": 100})
    return len(reply.json()["items"])


def test_a_data_set_is_checked_before_it_comes_in(service, dashboard, archive):
    page, project = dashboard("importer")
    before = slices_of(service, project)
    panel = import_panel(page, archive)
    panel.get_by_role("button", name="Check").click()
    expect(panel.get_by_text("1 case would come in.")).to_be_visible()
    expect(panel.get_by_text("1 case was left out")).to_be_visible()
    expect(panel.get_by_text("case-10", exact=True)).to_be_visible()
    row = panel.get_by_role("row", name="case-9")
    expect(row).to_contain_text("64 × 64")
    assert slices_of(service, project) == before
    panel.get_by_role("button", name="Import").click()
    expect(panel.get_by_text("1 case: 3 new slices, 0 already known.")).to_be_visible()
    assert slices_of(service, project) == before + 3
    # Both are listed with their reports from now on, for whoever comes later.
    page.reload()
    past = page.get_by_label("Imports and exports").locator("details.past")
    expect(past).to_have_count(2)
    expect(past.first).to_contain_text("Import (png): done")
    expect(past.first).to_contain_text("1 left out")
    past.first.locator("summary").first.click()
    expect(past.first.get_by_role("row", name="case-9")).to_be_visible()


def test_what_cannot_be_imported_at_all_says_why(dashboard, tmp_path):
    page, _ = dashboard("hopeless")
    empty = tmp_path / "nothing.zip"
    with zipfile.ZipFile(empty, "w") as packed:
        packed.writestr("readme.txt", "nothing")
    panel = import_panel(page, empty)
    panel.get_by_label("Layout").select_option("brats")
    panel.get_by_label("Channels").fill("flair, t1")
    panel.get_by_label("Plane").select_option("coronal")
    with page.expect_request(re.compile("/imports")) as sent:
        panel.get_by_role("button", name="Import").click()
    assert "channel=flair&channel=t1" in sent.value.url
    assert "plane=coronal" in sent.value.url
    expect(panel.get_by_role("alert")).to_be_visible()


def test_an_upload_that_breaks_off_says_so_and_can_be_tried_again(dashboard, archive):
    page, _ = dashboard("unlucky")
    panel = import_panel(page, archive)
    page.route("**/imports?**", lambda route: route.abort())
    panel.get_by_role("button", name="Import").click()
    expect(panel.get_by_role("alert")).to_contain_text("The upload broke off")
    page.unroute("**/imports?**")
    panel.get_by_role("button", name="Import").click()
    expect(panel.get_by_text("3 new slices")).to_be_visible()
    expect(panel.get_by_role("alert")).to_have_count(0)


def test_an_export_is_chosen_watched_and_fetched(service, dashboard):
    page, project = dashboard("exporter")
    answer(service, project, "drawer", 10)
    panel = page.get_by_label("Export", exact=True)
    panel.get_by_label("Format").select_option("nifti")
    panel.get_by_label("Masks").select_option("all")
    panel.get_by_label("Licence").fill("CC BY 4.0")
    panel.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        panel.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        names = packed.namelist()
        (card,) = (name for name in names if name.endswith("croissant.json"))
        assert "CC BY 4.0" in packed.read(card).decode()
    assert any("/labels/" in name for name in names)
    assert any("/readings/drawer/" in name for name in names)


def test_an_export_of_nothing_says_so(dashboard):
    page, _ = dashboard("early")
    panel = page.get_by_label("Export", exact=True)
    panel.get_by_role("button", name="Export").click()
    expect(panel.get_by_role("alert")).to_contain_text("no labelled slice")


def test_deleting_shows_what_would_go_and_wants_the_name(service, dashboard):
    page, project = dashboard("deleter")
    before = slices_of(service, project)
    panel = page.get_by_label("Delete", exact=True)
    panel.get_by_label("Case").fill("case-0")
    panel.get_by_role("button", name="Show what would go").click()
    expect(panel.get_by_text("3 slices")).to_be_visible()
    expect(panel.get_by_text("reservations")).to_have_count(0)
    confirm = panel.get_by_role("button", name="Delete case-0 for good")
    expect(confirm).to_be_disabled()
    panel.get_by_label("Type case-0 to confirm").fill("case-1")
    expect(confirm).to_be_disabled()
    assert slices_of(service, project) == before
    panel.get_by_label("Type case-0 to confirm").fill("case-0")
    confirm.click()
    expect(panel.get_by_text("case-0 was deleted")).to_be_visible()
    assert slices_of(service, project) == before - 3
    panel.get_by_label("Case").fill("nobody")
    panel.get_by_role("button", name="Show what would go").click()
    expect(panel.get_by_role("alert")).to_be_visible()


def test_a_deleted_project_gives_way_to_another(service, dashboard):
    page, project = dashboard("demolisher")
    panel = page.get_by_label("Delete", exact=True)
    panel.get_by_role("button", name="Show what would go").click()
    expect(panel).to_contain_text("This would be deleted")
    panel.get_by_label(f"Type {project} to confirm").fill(project)
    panel.get_by_role("button", name=f"Delete {project} for good").click()
    expect(page.locator("option", has_text=project)).to_have_count(0)
    assert service.admin.get(f"/projects/{project}").status_code == 404
