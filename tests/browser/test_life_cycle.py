"""A project renamed, archived and brought back on the page."""

from playwright.sync_api import expect

from app.store import Role
from tests.browser.test_members import of_project


def test_an_admin_renames_a_project_archives_it_and_brings_it_back(service, sign_in):
    project = service.project()
    chief = of_project(service, project, f"chief-{project}", Role.ADMIN)
    page = sign_in(chief, project, "/dashboard").page
    panel = page.get_by_label("Name and archive")
    panel.get_by_label("Name", exact=True).fill(f"{project}-2")
    with page.expect_response(lambda reply: reply.request.method == "PATCH"):
        panel.get_by_role("button", name="Rename").click()
    # The page goes on with the new name: its button waits for another.
    expect(panel.get_by_role("button", name="Rename")).to_be_disabled()
    assert service.admin.get(f"/projects/{project}-2").status_code == 200
    panel.get_by_role("button", name="Archive").click()
    archived = page.get_by_label("Archived", exact=True)
    expect(archived).to_contain_text("it can be looked at and exported, but not changed")
    for gone in ("Name and archive", "Settings"):
        expect(page.get_by_label(gone, exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Retrain now")).to_have_count(0)
    # Nobody is offered it to draw on.
    page.get_by_role("link", name="Annotate").click()
    expect(page.get_by_text("All of your projects are archived")).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    archived.get_by_role("button", name="Bring it back").click()
    expect(panel).to_be_visible()
    expect(archived).to_have_count(0)
    assert service.admin.get(f"/projects/{project}-2").json()["archived_at"] is None
    page.get_by_role("link", name="Annotate").click()
    expect(page.get_by_text("All of your projects are archived")).to_have_count(0)
