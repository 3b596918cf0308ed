"""A server whose environment holds pyproject's group `server` alone, as its image does."""

import io
import socket
import subprocess
import time
import zipfile

import httpx
import pytest
from packaging.requirements import Requirement

from app.doctor.versions import OF_WORKERS
from tests.server_group import closure, environment, group, link_group, pyproject, python, run

COMMAND = ("-m", "app.cli")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("group")
    link_group(folder)
    return folder


@pytest.fixture
def sfumato(packages, tmp_path):
    def call(*arguments):
        return run(packages, *COMMAND, *arguments, SFUMATO_DATA=str(tmp_path / "data"))

    return call


@pytest.fixture
def service(packages, sfumato, tmp_path):
    """A running server and an admin's token."""
    assert sfumato("migrate").returncode == 0
    token = sfumato("token", "create", "--role", "admin", "--name", "me").stdout.split()[-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        python(*COMMAND, "serve", "--port", str(port)),
        env=environment(packages, SFUMATO_DATA=str(tmp_path / "data")),
        cwd=packages,
    )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
        trust_env=False,
    )
    try:
        wait_until_ready(client, server)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait(30)


def wait_until_ready(client, server):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert server.poll() is None, "the server has ended"
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server was never ready")


def archive_of(folder):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    return packed.getvalue()


def test_the_group_is_the_plain_install_without_what_workers_need():
    plain = {Requirement(one).name: one for one in pyproject()["project"]["dependencies"]}
    assert {name for name in plain if name in OF_WORKERS} == OF_WORKERS
    assert set(group()) == {one for name, one in plain.items() if name not in OF_WORKERS}
    assert not {"torch", "simpleitk", "monai", "matplotlib"} & closure(group()).keys()


def test_the_environment_hides_everything_else(packages):
    assert run(packages, "-c", "import fastapi, numpy").returncode == 0
    for name in ("torch", "SimpleITK", "pytest"):
        refused = run(packages, "-c", f"import {name}")
        assert f"No module named '{name}'" in refused.stderr


def test_every_module_of_the_server_can_be_imported(packages):
    code = (
        "import pkgutil, importlib, app\n"
        "for found in pkgutil.walk_packages(app.__path__, 'app.'):\n"
        "    if not found.name.endswith(('__main__', 'observing.spans')):\n"
        "        importlib.import_module(found.name)\n"
        "        print(found.name)"
    )
    done = run(packages, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "app.formats.itk_file" in done.stdout


def test_a_server_imports_shows_and_exports(service, sfumato, tmp_path):
    assert (
        sfumato("phantom", str(tmp_path / "set"), "--cases", "3", "--slices", "4").returncode == 0
    )
    assert service.get("/").status_code in (200, 503)  # 503: the pages are not built here
    made = service.post("/projects", json={"name": "brain", "classes": ["none", "lesion"]})
    assert made.status_code == 201, made.text
    taken = service.post(
        "/projects/brain/imports",
        params={"layout": "msd", "masks": "pool"},
        content=archive_of(tmp_path / "set"),
        headers={"Content-Type": "application/zip"},
    )
    assert taken.status_code in (200, 201), taken.text
    listed = service.get("/projects/brain/slices").json()["items"]
    assert listed
    picture = service.get(f"/slices/{listed[0]['id']}/image")
    assert picture.headers["Content-Type"] == "image/png"
    out = service.get("/projects/brain/export")
    assert out.status_code == 200, out.text[:500]
    with zipfile.ZipFile(io.BytesIO(out.content)) as archive:
        assert any(name.endswith("croissant.json") for name in archive.namelist())


def test_what_is_missing_is_said_in_a_line(sfumato):
    for command in (["worker"], ["demo"], ["up"]):
        refused = sfumato(*command)
        assert refused.returncode == 1
        assert "which is not installed here" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_file_that_needs_more_is_refused_by_name(packages, tmp_path):
    code = (
        "import pathlib, sys\n"
        "from app.formats.volumes import open_volume\n"
        "from app.core.errors import VolumeInvalid\n"
        "try: open_volume(pathlib.Path(sys.argv[1]))\n"
        "except VolumeInvalid as error: print(error)"
    )
    (tmp_path / "brain.nrrd").write_bytes(b"NRRD0004\n")
    said = run(packages, "-c", code, str(tmp_path / "brain.nrrd"))
    assert "brain.nrrd is read with SimpleITK" in said.stdout, said.stderr


def test_the_doctor_knows_that_it_serves_alone(sfumato):
    assert sfumato("migrate").returncode == 0
    assert "what trains is not here" in " ".join(sfumato("doctor").stdout.split())
