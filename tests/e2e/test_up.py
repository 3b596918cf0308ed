"""`sfumato up` and the other commands, as processes."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from app.embedded import _first_token
from app.loop.accounts import authenticate
from app.store import Database, Role, Token
from app.store.migrate import migrate
from tests.conftest import mask, picture
from worker.simulation.service import running_service


def sfumato(
    *arguments: str, seconds: float = 120, given: dict[str, str] | None = None, **options
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SFUMATO_")}
    environment |= {"SFUMATO_THREADS": "1", **(given or {})}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=seconds, **options
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service without workers: (data folder, address)."""
    folder = tmp_path_factory.mktemp("service")
    with running_service(folder / "data", folder / "log", "--workers", "0") as url:
        yield folder / "data", url


def test_the_first_start_leaves_an_admins_token_that_only_we_can_read(service):
    data, url = service
    path = data / "admin.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    headers = {"Authorization": f"Bearer {path.read_text().strip()}"}
    assert httpx.post(f"{url}/projects", json={"name": "p"}, headers=headers).status_code == 201
    assert json.loads((data / "server.json").read_text())["url"] == url


def test_a_token_file_of_a_start_that_was_killed_is_made_anew(sqlite_database, tmp_path):
    path = tmp_path / "admin.token"
    path.write_text("sfu_1_of-a-start-that-kept-nothing\n")
    _first_token(sqlite_database, path)
    text = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite_database.reading() as session:
        assert authenticate(session, text).account.role is Role.ADMIN
    # From then on it is left alone, also when an admin has revoked what it holds.
    _first_token(sqlite_database, path)
    assert path.read_text().strip() == text


def test_a_token_that_was_kept_is_known_whenever_a_start_is_killed(
    sqlite_database, tmp_path, monkeypatch
):
    path = tmp_path / "admin.token"
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            _first_token(sqlite_database, path)
    assert not path.exists()
    _first_token(sqlite_database, path)
    with sqlite_database.reading() as session:
        assert authenticate(session, path.read_text().strip()).account.role is Role.ADMIN
        assert session.scalar(select(func.count(Token.id))) == 1


def test_a_token_file_that_was_removed_stays_so(sqlite_database, tmp_path):
    path = tmp_path / "admin.token"
    _first_token(sqlite_database, path)
    path.unlink()
    _first_token(sqlite_database, path)
    assert list(tmp_path.glob("*admin.token*")) == []
    with sqlite_database.reading() as session:
        assert session.scalar(select(func.count(Token.id))) == 1


def test_no_other_user_can_open_what_an_installation_keeps(tmp_path, request):
    """The usual umask lets everybody read; and a folder may be there that everybody can enter."""
    before = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(before))
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "sfumato.db").touch(mode=0o644)
    (data / "notes-of-somebody.txt").touch(mode=0o644)
    with running_service(data, tmp_path / "log") as url:
        token = (data / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        httpx.post(f"{url}/projects", json={"name": "p"}, headers=headers).raise_for_status()
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
        assert {"sfumato.db", "sfumato.db-wal", "valkey"} <= found.keys()
        # What is not ours stays as it was.
        others = {name for name, mode in found.items() if mode & (stat.S_IRWXG | stat.S_IRWXO)}
        assert others == {"notes-of-somebody.txt"}
        # It listens where only we can ask.
        [broker] = [c for c in children_of(supervisor_of(data)) if "valkey" in command_of(c)]
        assert listening_ports_of(broker) == []
    fresh = tmp_path / "fresh"
    with running_service(fresh, tmp_path / "log"):
        assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    backup, restored = tmp_path / "b.tar", tmp_path / "restored"
    assert sfumato("backup", backup, "--data", data).returncode == 0
    assert sfumato("restore", backup, "--data", restored).returncode == 0
    assert stat.S_IMODE(restored.stat().st_mode) == 0o700
    assert stat.S_IMODE((restored / "sfumato.db").stat().st_mode) == 0o600


def test_projects_are_listed(tmp_path):
    data = tmp_path / "data"
    empty = sfumato("project", "list", "--data", data)
    assert (empty.returncode, "no project yet" in empty.stdout) == (0, True)
    for name in ("brain", "knee"):
        sfumato("project", "create", name, "--classes", "background,lesion", "--data", data)
    sfumato("project", "archive", "knee", "--data", data)
    brain, knee = sfumato("project", "list", "--data", data).stdout.splitlines()
    assert brain == "brain  background, lesion"
    assert knee.startswith("knee  background, lesion  archived on 20")


def test_the_audit_is_held_to_an_export(tmp_path):
    data, export = tmp_path / "data", tmp_path / "audit.jsonl"
    sfumato("token", "create", "--role", "admin", "--name", "me", "--data", data)
    assert sfumato("audit", "export", export, "--data", data).returncode == 0
    held = sfumato("audit", "verify", "--export", export, "--data", data)
    assert (held.returncode, held.stdout) == (0, "the audit trail is whole\n")
    assert sfumato("audit", "go-on", "--data", data).stdout == "nothing was wrong\n"
    export.write_bytes(export.read_bytes().replace(b"token.create", b"token.revoke"))
    changed = sfumato("audit", "verify", "--export", export, "--data", data)
    assert changed.returncode == 1
    assert "is not in the audit trail as it was exported" in changed.stdout + changed.stderr
    export.write_bytes(b"\xff\xfe nothing of ours\n")
    wrong = sfumato("audit", "verify", "--export", export, "--data", data)
    assert wrong.returncode != 0
    assert "line 1 of" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def supervisor_of(data: Path) -> int:
    return json.loads((data / "server.json").read_text())["pid"]


def listening_ports_of(pid: int) -> list[int]:
    connections = psutil.Process(pid).net_connections("inet")
    return [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN]


def test_what_is_wrong_with_an_installation_is_told_in_a_line(tmp_path):
    nobody = {"SFUMATO_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none"}
    away = sfumato("times", "--project", "x", "--data", tmp_path / "data", given=nobody)
    (tmp_path / "file").write_text("")
    under = sfumato("times", "--project", "x", "--data", tmp_path / "file" / "data")
    for refused, words in ((away, "the database cannot be used"), (under, "Not a directory")):
        assert refused.returncode == 1
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_the_server_process_never_loads_torch(service):
    code = "import sys, app.main, app.embedded, app.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_data_folder_has_one_master(service):
    data, _ = service
    refused = sfumato("up", "--data", data, "--port", "0", "--workers", "0")
    assert refused.returncode == 1
    assert "another `sfumato up`" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = sfumato("up", "--data", tmp_path, "--port", port, "--workers", "0")
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


def test_tokens_are_made_listed_and_revoked(service):
    data, url = service
    made = sfumato("token", "create", "--role", "annotator", "--name", "eva", "--data", data)
    token = made.stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{url}/projects", headers=headers).status_code == 200
    listed = sfumato("token", "list", "--data", data).stdout
    assert "eva" in listed
    assert token not in listed
    number = token.split("_")[1]
    assert "revoked" in sfumato("token", "revoke", number, "--data", data).stdout
    assert httpx.get(f"{url}/projects", headers=headers).status_code == 401
    database = Database(f"sqlite:///{data / 'sfumato.db'}")
    dump = "\n".join(
        str(row) for row in database.engine.raw_connection().execute("SELECT * FROM tokens")
    )
    assert token.split("_")[2] not in dump
    database.dispose()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["token", "create", "--role", "king", "--name", "x"], "annotator"),
        (["token", "create", "--role", "admin", "--name", "../x"], "cannot name"),
        (["token", "revoke", "999"], "no token 999"),
        (["import", "msd", "/no/such/folder", "--project", "p"], "not a folder"),
        (["import", "tarot", "/", "--project", "p"], "msd"),
        (["simulate", "--project", "nobody"], "no project"),
        (["export", "--project", "nobody", "--out", "x"], "no project"),
    ],
)
def test_commands_say_what_was_wrong(tmp_path, arguments, says):
    refused = sfumato(*arguments, "--data", tmp_path, cwd=tmp_path)
    assert refused.returncode in (1, 2)
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_all_ends_together_even_when_the_supervisor_is_killed(tmp_path):
    """Broker and worker are not left behind by SIGKILL."""
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up", "--data", tmp_path / "data", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline().startswith("ready http://127.0.0.1:")
    children = children_of(process.pid)
    assert len(children) == 2
    # The worker must have come up far enough to watch its parent.
    wait_until(lambda: "app.cli" in command_of(children[-1]) and threads_of(children[-1]) > 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(alive(child) for child in children))


def test_a_broker_that_dies_is_started_again_and_jobs_still_run(tmp_path):
    """Annotators notice nothing, and the retraining happens."""
    with running_service(tmp_path / "data", tmp_path / "log") as url:
        pid = json.loads((tmp_path / "data" / "server.json").read_text())["pid"]
        token = (tmp_path / "data" / "admin.token").read_text().strip()
        admin = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        training = {"width": 2, "epochs": 1, "batch_size": 2}
        admin.post("/projects", json={"name": "p", "query": {"size": 1}, "training": training})
        for index in range(3):
            where = {"case": f"c{index}", "index": 0}
            sent = admin.post("/projects/p/slices", params=where, content=picture(seed=index))
            assert sent.status_code == 201
        wait_until(lambda: any(threads_of(c) > 2 for c in workers_of(pid)))
        [broker] = [c for c in children_of(pid) if "valkey" in command_of(c)]
        os.kill(broker, signal.SIGKILL)
        item = admin.get("/query/next").json()["items"][0]
        assert admin.post(f"/slices/{item['slice']}/masks", content=mask()).status_code == 201
        wait_until(lambda: admin.get("/jobs/1").json()["state"] == "succeeded", seconds=120)
        assert admin.get("/query/next").json()["round"] == 2
        again = [c for c in children_of(pid) if "valkey" in command_of(c)]
        assert len(again) == 1
        assert again != [broker]


def workers_of(pid: int) -> list[int]:
    return [c for c in children_of(pid) if "app.cli" in command_of(c)]


def test_up_stops_in_order_on_sigterm(tmp_path):
    with running_service(tmp_path / "data", tmp_path / "log") as url:
        pid = json.loads((tmp_path / "data" / "server.json").read_text())["pid"]
        children = children_of(pid)
        assert httpx.get(f"{url}/health/ready").status_code == 200
    assert not any(alive(child) for child in [pid, *children])
    assert not (tmp_path / "data" / "server.json").exists()


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def test_half_open_connections_use_up_no_files(tmp_path):
    """More of them than the process may open files, and still it answers everybody else."""
    log = tmp_path / "log"
    limits = {"SFUMATO_DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "SFUMATO_HEADER_SECONDS": "0"}
    migrate(Database(limits["SFUMATO_DATABASE_URL"]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = f"ulimit -n 300; exec {sys.executable} -m app.cli serve --port {port}"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", serve], stdout=output, stderr=output, env={**os.environ, **limits}
        )
    url = f"http://127.0.0.1:{port}/health/live"
    opened = []
    try:
        wait_until(lambda: answers(url))
        opened += [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(500)]
        for _ in range(3):
            assert httpx.get(url, timeout=60).status_code == 200
    finally:
        for connection in opened:
            connection.close()
        process.terminate()
        process.wait()
    assert "Too many open files" not in log.read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.TransportError:
        return False
