"""Sign-in by a provider in a real browser: cookies that come from elsewhere, and back."""

import threading

import pytest
from playwright.sync_api import expect

from app.serving import Server
from app.store import Role
from tests.api.oidc import application
from tests.oidc_provider import OidcProvider, serving


@pytest.fixture
def provider():
    """At another name than the service: to the browser another site."""
    person = {"sub": "s-ann", "preferred_username": "ann"}
    with serving(OidcProvider(person=person), host="localhost") as found:
        yield found


@pytest.fixture
def ours(provider, sqlite_database, tmp_path, free_port):
    """The application on a port of this machine."""
    ready = threading.Event()
    with application(provider, sqlite_database, tmp_path, port=free_port) as api:
        server = Server(api.client.app, api.settings, 1, ready.set)
        thread = threading.Thread(target=server.run)
        server.config.lifespan = "off"
        thread.start()
        assert ready.wait(60)
        yield api
        server.should_exit = True
        thread.join()


def test_somebody_goes_to_the_provider_and_comes_back_signed_in(ours, browser, free_port):
    root = ours.project()
    page = browser.new_context().new_page()
    there = f"http://127.0.0.1:{free_port}/dashboard"
    page.goto(there)
    button = page.get_by_role("button", name="Sign in with the hospital")
    button.click()
    expect(page.get_by_text("no account here is linked to you")).to_be_visible()
    # Said once.
    expect(page).to_have_url(there.replace("/dashboard", "/"))
    ours.as_("ann", Role.ANNOTATOR)
    assert root.put("/accounts/ann/identity", json={}).status_code == 200
    page.goto(there)
    button.click()
    expect(page.get_by_text("ann (annotator)")).to_be_visible()
    expect(page).to_have_url(there)
    assert [one["name"] for one in page.context.cookies()] == ["sfumato_session"]
    page.get_by_role("button", name="Sign out").click()
    expect(button).to_be_visible()
    page.context.close()
