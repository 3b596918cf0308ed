"""A real browser on a real service."""

import io
import json
import shutil
import socket
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pydicom.uid import generate_uid
from sqlalchemy import update

from app.loop.accounts import create_token
from app.store import Database, Lease, Role, utc_now
from tests.browser.ct import ct_slice
from tests.conftest import png_of
from worker.simulation.service import running_service

SIZE = 64
# A slow machine that does something else besides is no fault of the page.
expect.set_options(timeout=20_000)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser test that fails runs once more, and the summary names it: a race is not hidden.

    On a machine that does three things at once the browser, the service and the test are a fast
    and a slow one in any order; what fails twice in a row is a fault.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


# Of a file: while Playwright runs, an event loop does in this thread, and other files want theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(_BROWSERS)})")
    with sync_playwright() as playwright:
        # No sandbox: continuous integration runs as root, where Chromium has none.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Service:
    """A running `sfumato up`, and what tests do to it from behind."""

    url: str
    data: Path
    admin: httpx.Client

    def token(self, name: str, role: Role = Role.ANNOTATOR) -> str:
        database = Database(f"sqlite:///{self.data / 'sfumato.db'}")
        with database.writing() as session:
            text = create_token(session, name, role)
        database.dispose()
        return text

    def held_by(self, token: str, project: str) -> list[int]:
        """The slices that an annotator has in hand."""
        reply = httpx.get(
            f"{self.url}/query/next",
            params={"project": project, "size": 4},
            headers={"Authorization": f"Bearer {token}"},
        )
        return [item["slice"] for item in reply.json()["items"]]

    def expire_leases(self) -> None:
        """As if everybody had been away for longer than a lease lasts."""
        database = Database(f"sqlite:///{self.data / 'sfumato.db'}")
        with database.writing() as session:
            session.execute(update(Lease).values(expires_at=utc_now()))
        database.dispose()

    def project(
        self,
        slices: int = 6,
        cases: int = 2,
        epochs: int = 3,
        channels: tuple[str, ...] = (),
        **query,
    ) -> str:
        """A project of pictures with a bright square; returns its name."""
        name = f"p-{uuid.uuid4().hex[:8]}"
        body = {
            "name": name,
            "classes": ["background", "lesion", "rim"],
            **({"channels": channels} if channels else {}),
            "query": {"size": slices, "seed": 3, **query},
            "training": {
                "width": 2,
                "epochs": epochs,
                "patience": epochs,
                "min_steps": 5,
                "batch_size": 4,
                "learning_rate": 0.01,
            },
        }
        assert self.admin.post("/projects", json=body).status_code == 201
        for case in range(cases):
            for index in range(slices // cases):
                for place, channel in enumerate(channels or (None,)):
                    where = {"case": f"case-{case}", "index": index}
                    if channel is not None:
                        where["channel"] = channel
                    png = picture(10 * case + index, brighter=1000 * place)
                    reply = self.admin.post(f"/projects/{name}/slices", params=where, content=png)
                    assert reply.status_code == 201, reply.text
        return name

    def mask_of(self, slice_id: int) -> np.ndarray | None:
        """The mask that is the label of a slice, as class indices."""
        from tests.conftest import pixels_of

        reply = self.admin.get(f"/slices/{slice_id}/masks")
        return pixels_of(reply.content) if reply.status_code == 200 else None


def picture(seed: int, brighter: int = 0) -> bytes:
    """Noise around 1000 of 16 bits, with a square of 3000 ± 5 from (20, 24) to (40, 44)."""
    rng = np.random.default_rng(seed)
    values = rng.integers(800, 1200, (SIZE, SIZE)).astype(np.uint16)
    values[24:44, 20:40] = rng.integers(2995, 3006, (20, 20))
    return png_of(values + np.uint16(brighter))


@contextmanager
def service_at(folder: Path, *options: str) -> Iterator[Service]:
    """A service on a folder; the same folder again is the same service again."""
    with running_service(folder / "data", folder / "log", *options) as url:
        token = (folder / "data" / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as admin:
            yield Service(url, folder / "data", admin)


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Service]:
    from app.api.pages import BUILT

    if not (BUILT / "index.html").is_file():
        pytest.fail("the pages are not built: run `make web`")
    with service_at(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def ct_project(service) -> str:
    """A project with one axial CT of three slices, for one test: a tab holds what it fetched."""
    return import_ct(service)


def import_ct(service: Service, photometric: str = "MONOCHROME2") -> str:
    """Make a project with one axial CT of three slices; returns its name."""
    name, series = f"ct-{uuid.uuid4().hex[:8]}", generate_uid()
    body = {"name": name, "classes": ["background", "lesion"], "query": {"size": 3}}
    assert service.admin.post("/projects", json=body).status_code == 201
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for index in range(3):
            archive.writestr(f"head/{index}.dcm", ct_slice(series, index, photometric))
    headers = {"Content-Type": "application/zip"}
    reply = service.admin.post(
        f"/projects/{name}/imports",
        params={"layout": "dicom"},
        content=packed.getvalue(),
        headers=headers,
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["new_slices"] == 3
    return name


@dataclass
class Tab:
    """One person's page, with hands."""

    page: Page
    problems: list[str] = field(default_factory=list)

    @property
    def slice(self) -> int:
        """The slice on the board, once there is one."""
        board = self.page.locator(".board[data-slice]")
        board.wait_for()
        return int(board.get_attribute("data-slice"))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place in the picture lies in the window."""
        board = self.page.locator(".board[data-view]")
        view = json.loads(board.get_attribute("data-view"))
        box = board.bounding_box()
        return (
            box["x"] + (view["x"] + x * view["scale"]) / view["ratio"],
            box["y"] + (view["y"] + y * view["scale"] * view["aspect"]) / view["ratio"],
        )

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, move over the others, let go."""
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=5)
        mouse.up()

    def rectangle(self, left: int, top: int, right: int, bottom: int) -> None:
        """Draw a rectangle with the polygon tool, corner by corner."""
        self.page.locator(".board[data-view], .edit .board").first.wait_for()
        self.page.keyboard.press("p")
        for corner in ((left, top), (right, top), (right, bottom), (left, bottom)):
            self.click(*corner)
        self.page.keyboard.press("Enter")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for_slice(self, other_than: int) -> int:
        self.page.locator(f'.board[data-slice]:not([data-slice="{other_than}"])').wait_for()
        return self.slice

    def submit(self) -> int:
        """Submit, and wait until the server has it; returns the slice."""
        done = self.slice
        with self.page.expect_response(
            lambda reply: reply.url.split("?")[0].endswith(f"/slices/{done}/masks")
        ) as sent:
            self.press("Enter")
        assert sent.value.status in (200, 201)
        return done


@pytest.fixture
def sign_in(browser, service) -> Iterator[callable]:
    """Opens a page, signed in with a token, on a project; fails on any error in its console."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def open_tab(
        token: str, project: str, path: str = "/", url: str = service.url, **options
    ) -> Tab:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('sfumato-project', '{project}')")
        tab = Tab(context.new_page())
        tabs.append(tab)
        tab.page.on("pageerror", lambda error: tab.problems.append(str(error)))
        tab.page.on("console", lambda said: _note(tab, said))
        tab.page.goto(url + path)
        tab.page.get_by_label("Your token").fill(token)
        tab.page.get_by_role("button", name="Sign in").click()
        tab.page.locator("header.bar").wait_for()
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    assert [problem for tab in tabs for problem in tab.problems] == []


def _note(tab: Tab, said) -> None:
    # The browser reports every status of 400 and more: those are replies, not faults of the page.
    if said.type == "error" and "Failed to load resource" not in said.text:
        tab.problems.append(said.text)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
