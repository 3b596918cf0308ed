"""`sfumato backup`, `restore` and `verify`, as processes, beside a running service."""

import httpx
import pytest
from sqlalchemy import select

from app.loop.accounts import authenticate
from app.store import Database, Mask, Role
from tests.conftest import mask, picture
from tests.e2e.test_up import sfumato
from worker.simulation.service import running_service


@pytest.mark.timeout(900)
def test_a_running_service_is_saved_and_comes_back_elsewhere(tmp_path):
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup.tar"
    with running_service(old, tmp_path / "log", "--workers", "0") as url:
        token = (old / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            client.post("/projects", json={"name": "p"}).raise_for_status()
            where = {"case": "a", "index": 0}
            client.post("/projects/p/slices", params=where, content=picture()).raise_for_status()
            client.post("/slices/1/masks", content=mask()).raise_for_status()
            saved = sfumato("backup", file, "--data", old)
        refused = sfumato("restore", file, "--data", old)
    assert saved.returncode == 0, saved.stderr
    assert "1 projects, 1 slices, 1 masks" in saved.stdout
    assert refused.returncode == 1
    assert "the installation is not empty" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    checked = sfumato("verify", file)
    assert (checked.returncode, checked.stdout) == (0, "everything is as it should be\n")
    restored = sfumato("restore", file, "--data", new)
    assert restored.returncode == 0, restored.stderr
    came_back = Database(f"sqlite:///{new / 'sfumato.db'}")
    with came_back.reading() as session:
        # Its token is the one of before, though its file was not in the backup.
        assert authenticate(session, token).account.role is Role.ADMIN
        assert session.scalars(select(Mask.id)).all() == [1]
    came_back.dispose()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    torn = sfumato("verify", file)
    assert torn.returncode == 1
    assert "Traceback" not in torn.stderr
    assert len(torn.stderr.strip().splitlines()) == 1
