"""What is drawn is safe: reloads, outages, other tabs, lost leases, sessions that end."""

import numpy as np
from playwright.sync_api import expect

from tests.browser.conftest import SIZE, service_at
from tests.conftest import png_of


def blank() -> np.ndarray:
    return np.zeros((SIZE, SIZE), dtype=np.uint8)


def test_a_reload_in_the_middle_brings_the_drawing_back(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("reload"), project)
    first = tab.slice
    tab.rectangle(10, 10, 20, 20)
    tab.page.reload()
    assert tab.slice == first
    expect(tab.page.get_by_text("Your drawing of")).to_be_visible()
    tab.submit()
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()


def test_a_drawing_can_be_started_afresh_after_a_reload(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("afresh"), project)
    tab.rectangle(10, 10, 20, 20)
    tab.page.reload()
    tab.page.get_by_role("button", name="Start over").click()
    done = tab.submit()
    assert not service.mask_of(done).any()


def test_nothing_is_lost_when_the_server_is_away_between_stroke_and_submit(
    sign_in, tmp_path, free_port
):
    with service_at(tmp_path, "--workers", "0", "--port", str(free_port)) as first_service:
        project = first_service.project()
        tab = sign_in(first_service.token("away"), project, url=first_service.url)
        first = tab.slice
        tab.page.wait_for_load_state("networkidle")
        tab.rectangle(10, 10, 20, 20)
    tab.press("Enter")
    second = tab.wait_for_slice(first)
    expect(tab.page.get_by_text("The server cannot be reached")).to_be_visible()
    tab.rectangle(30, 30, 40, 40)
    tab.press("Enter")
    tab.wait_for_slice(second)
    with service_at(tmp_path, "--workers", "0", "--port", str(free_port)) as again:
        expect(tab.page.get_by_text("The server cannot be reached")).to_be_hidden(timeout=40_000)
        tab.page.locator('.notices[data-unsent="0"]').wait_for(state="attached")
        assert (again.mask_of(first)[10:20, 10:20] == 1).all()
        assert (again.mask_of(second)[30:40, 30:40] == 1).all()
        tab.page.close()


def test_a_second_tab_takes_over_and_the_first_steps_back(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("tabs"), project)
    first = tab.slice
    tab.rectangle(10, 10, 20, 20)
    second = tab.page.context.new_page()
    second.goto(service.url)
    second.locator(f'.board[data-slice="{first}"]').wait_for()
    expect(second.get_by_text("Your drawing of")).to_be_visible()
    expect(tab.page.get_by_text("You are annotating in another tab")).to_be_visible()
    tab.page.get_by_role("button", name="Annotate here").click()
    expect(tab.page.get_by_text("You are annotating in another tab")).to_be_hidden()
    expect(second.get_by_text("You are annotating in another tab")).to_be_visible()
    tab.submit()
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()


def test_a_lost_lease_is_explained_and_the_mask_is_taken_all_the_same(service, sign_in):
    project = service.project(slices=2, cases=1)
    tab = sign_in(service.token("slow"), project)
    first = tab.slice
    tab.page.clock.install()
    tab.page.reload()
    assert tab.slice == first
    tab.rectangle(10, 10, 20, 20)
    service.expire_leases()
    headers = {"Authorization": f"Bearer {service.token('faster')}"}
    where = {"project": project, "size": 2}
    taken = service.admin.get("/query/next", params=where, headers=headers).json()["items"]
    assert first in [item["slice"] for item in taken]
    tab.page.clock.fast_forward(2_000_000)
    tab.rectangle(30, 10, 40, 20)  # back from lunch
    tab.page.clock.fast_forward(130_000)
    expect(tab.page.get_by_text("This slice is no longer reserved for you")).to_be_visible()
    tab.submit()
    kept = service.admin.get(f"/slices/{first}/masks", headers={"Accept": "application/json"})
    assert [m["late"] for m in kept.json()["items"]] == [True]


def test_drawing_time_goes_with_the_mask(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("timed"), project)
    tab.rectangle(10, 10, 20, 20)
    tab.page.wait_for_timeout(300)  # somebody looks at it
    done = tab.submit()
    headers = {"Accept": "application/json"}
    kept = service.admin.get(f"/slices/{done}/masks", headers=headers).json()["items"][-1]
    assert 0 < kept["seconds"] < 60


def test_a_session_that_is_over_asks_again_and_loses_nothing(service, sign_in):
    project = service.project()
    tab = sign_in(service.token("over"), project)
    first = tab.slice
    tab.rectangle(10, 10, 20, 20)
    tab.page.context.clear_cookies()
    tab.press("Enter")
    tab.page.get_by_text("Your session has ended").wait_for()
    tab.page.get_by_label("Your token").fill(service.token("over"))
    with tab.page.expect_response(lambda r: f"/slices/{first}/masks" in r.url and r.ok):
        tab.page.get_by_role("button", name="Sign in").click()
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()


LEAVE_BEHIND = """([database, key, value, png]) => new Promise((done, failed) => {
    const bytes = Uint8Array.from(png);
    const opened = indexedDB.open(database);
    opened.onerror = () => failed(opened.error);
    opened.onsuccess = () => {
        const store = database.split("-")[1];
        const writing = opened.result.transaction(store, "readwrite");
        const left = store === "drafts" ? { ...value, classes: bytes } : { ...value, png: bytes };
        writing.objectStore(store).put(left, key);
        writing.oncomplete = () => { opened.result.close(); done(null); };
        writing.onerror = () => failed(writing.error);
    };
})"""


def test_what_an_earlier_version_left_in_the_browser_is_not_lost(service, sign_in):
    project = service.project()
    token = service.token("earlier")
    tab = sign_in(token, project)
    first = tab.slice
    tab.page.wait_for_load_state("networkidle")
    size = {"width": SIZE, "height": SIZE}
    drawn = blank()
    drawn[10:20, 10:20] = 1
    draft = {"slice": first, **size, "seconds": 5, "savedAt": 1_700_000_000_000}
    left = ["sfumato-drafts", f"earlier/{first}", draft, drawn.flatten().tolist()]
    tab.page.evaluate(LEAVE_BEHIND, left)
    other = next(one for one in service.held_by(token, project) if one != first)
    mask = {"slice": other, "label": "a slice", "seconds": 7, "at": 1_700_000_000_000}
    left = ["sfumato-parcels", f"earlier/{other}", mask, list(png_of(drawn))]
    tab.page.evaluate(LEAVE_BEHIND, left)
    with tab.page.expect_response(lambda r: f"/slices/{other}/masks" in r.url and r.ok):
        tab.page.reload()
    assert (service.mask_of(other)[10:20, 10:20] == 1).all()
    assert tab.slice == first
    expect(tab.page.get_by_text("Your drawing of")).to_be_visible()
    tab.submit()
    assert (service.mask_of(first)[10:20, 10:20] == 1).all()
