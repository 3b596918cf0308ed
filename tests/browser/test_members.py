"""A project's people on the page: who belongs to it, who may what, who did what."""

from playwright.sync_api import expect

from app.store import Role


def of_project(service, project: str, name: str, role: Role) -> str:
    """A token of that project alone."""
    body = {"name": name, "role": role, "project": project}
    made = service.admin.post("/tokens", json=body)
    assert made.status_code == 201, made.text
    return made.json()["token"]


def test_an_admin_of_a_project_sees_to_its_members_and_what_they_did(service, sign_in):
    project = service.project()
    of_project(service, project, f"kim-{project}", Role.VIEWER)
    chief = of_project(service, project, f"chief-{project}", Role.ADMIN)
    page = sign_in(chief, project, "/dashboard").page
    panel = page.get_by_label("Members", exact=True)
    with page.expect_response(lambda r: r.request.method == "PUT" and r.ok):
        panel.get_by_label(f"Role of kim-{project}").select_option("reviewer")
    expect(page.get_by_label("Who did what")).to_be_visible()
    listed = service.admin.get(f"/projects/{project}/members").json()["items"]
    roles = {member["account"]: member["role"] for member in listed}
    assert roles[f"kim-{project}"] == "reviewer"
    panel.get_by_role("row", name=f"kim-{project}").get_by_role("button", name="Remove").click()
    expect(panel.get_by_role("row", name=f"kim-{project}")).to_have_count(0)
    panel.get_by_label("Account").fill("nobody-of-that-name")
    panel.get_by_role("button", name="Add to the project").click()
    expect(panel.get_by_text("there is no account 'nobody-of-that-name'")).to_be_visible()
    page.reload()
    trail = page.get_by_label("Who did what")
    expect(trail.get_by_role("row", name="removed a member").first).to_be_visible()
    # Tokens of everything are not a project's to give.
    expect(page.get_by_label("For this project alone")).to_have_count(0)


def test_a_viewer_looks_and_is_offered_nothing_else(service, sign_in):
    project = service.project()
    page = sign_in(of_project(service, project, f"vi-{project}", Role.VIEWER), project).page
    expect(page.get_by_label("Learning curve")).to_be_visible()
    assert page.get_by_role("navigation").get_by_role("link").all_inner_texts() == ["Dashboard"]
    expect(page.get_by_role("button", name="Retrain now")).to_have_count(0)
    assert service.admin.get("/projects").status_code == 200


def test_somebody_signs_in_with_a_password(service, sign_in):
    project = service.project()
    name = f"pat-{project}"
    token = of_project(service, project, name, Role.ANNOTATOR)
    words = "correct horse battery staple"
    set_ = service.admin.put(f"/accounts/{name}/password", json={"password": words})
    assert set_.status_code == 204
    page = sign_in(token, project).page
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Use a password").click()
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password", exact=True).fill(words + "?")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("the account or its password is wrong")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(words)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(f"{name} (annotator)")).to_be_visible()
