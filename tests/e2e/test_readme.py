"""Every command of the README runs as it stands there, in its order."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
MAKE, START = BLOCKS[0], BLOCKS[1]
PRODUCTION, GPU = BLOCKS[-2], BLOCKS[-1]
WALK = BLOCKS[2:-2]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**changes: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SFUMATO_")}
    return {**clean, **changes}


@pytest.fixture
def folder(tmp_path):
    """A place where the README's relative paths lead to this environment."""
    scripts = Path(shutil.which("sfumato") or ROOT / ".venv/bin/sfumato").parent
    (tmp_path / ".venv").symlink_to(scripts.parent)
    return tmp_path


def start(command: str, folder: Path, url: str, **changes: str) -> subprocess.Popen:
    log = (folder / "log").open("a")
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=environment(**changes),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    deadline = time.monotonic() + 180
    while True:
        try:
            httpx.get(f"{url}/health/ready").raise_for_status()
            return process
        except httpx.HTTPError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)


def stop(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def test_the_two_commands_are_targets():
    for line in [*MAKE.splitlines(), START.splitlines()[0]]:
        checked = subprocess.run(
            ["make", "--dry-run", *line.split()[1:]], cwd=ROOT, capture_output=True, check=False
        )
        assert checked.returncode == 0, line


def test_the_walk_runs_from_the_first_line_to_the_last(folder):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    up = START.splitlines()[1]
    service = start(
        f"{up} --port {port}", folder, url, SFUMATO_RESEND_SECONDS="1", SFUMATO_THREADS="1"
    )
    try:
        script = "set -euo pipefail\n" + "\n".join(WALK).replace(
            "127.0.0.1:8000", f"127.0.0.1:{port}"
        )
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
        )
    finally:
        stop(service)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    assert '"stream":"initial"' in (folder / "batch.json").read_text()
    assert (folder / "slice.png").read_bytes().startswith(b"\x89PNG")
    said = ran.stdout.replace(" ", "")
    assert said.count('"late":false') == 3
    assert '"state":"succeeded"' in said
    assert '"round":2' in said
    assert '"stream":"target"' in said
    assert "Dice per case" in ran.stdout
    assert (folder / "learning-curve.png").exists()
    assert (folder / "exported" / "dataset.json").exists()


def test_it_is_pointed_at_other_servers_as_the_readme_says(folder, postgres_server, valkey_url):
    from tests.conftest import _admin, _with_name

    _admin(postgres_server, "CREATE DATABASE readme")
    exports, commands = {}, []
    for line in PRODUCTION.splitlines():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            exports[name] = value
        else:
            commands.append(line)
    assert exports.keys() == {"SFUMATO_DATABASE_URL", "SFUMATO_BROKER_URL"}
    exports = {
        "SFUMATO_DATABASE_URL": _with_name(postgres_server, "readme"),
        "SFUMATO_BROKER_URL": valkey_url,
    }
    *once, serve = commands
    for command in once:
        subprocess.run(["bash", "-c", command], cwd=folder, env=environment(**exports), check=True)
    port = free_port()
    # Loopback only: these are tests.
    serve = serve.replace("0.0.0.0", "127.0.0.1") + f" --port {port}"
    api = start(serve, folder, f"http://127.0.0.1:{port}", **exports)
    workers = [
        subprocess.Popen(
            ["bash", "-c", f"export {line.split()[0]}; exec {' '.join(line.split()[1:])}"],
            cwd=folder,
            env=environment(**exports),
            stdout=(folder / "worker.log").open("a"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for line in GPU.splitlines()
    ]
    try:
        deadline = time.monotonic() + 180
        while (folder / "worker.log").read_text().count("score") < 2:
            assert all(worker.poll() is None for worker in workers)
            assert time.monotonic() < deadline, (folder / "worker.log").read_text()
            time.sleep(0.2)
    finally:
        stop(api, *workers)
