"""`sfumato backup`, `restore` and `verify`, as processes, beside a running service."""

import httpx

from tests.conftest import mask, picture
from tests.e2e.test_up import sfumato
from worker.simulation.service import running_service


def test_a_running_service_is_saved_and_comes_back_elsewhere(tmp_path):
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup.tar"
    with running_service(old, tmp_path / "log", "--workers", "0") as url:
        headers = {"Authorization": f"Bearer {(old / 'admin.token').read_text().strip()}"}
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
    with running_service(new, tmp_path / "log", "--workers", "0") as url:
        # Its token is the one of before, though its file was not in the backup.
        found = httpx.get(f"{url}/masks/1", headers=headers, timeout=60)
        assert found.status_code == 200, found.text
    file.write_bytes(file.read_bytes()[:-5000])
    torn = sfumato("verify", file)
    assert torn.returncode == 1
    assert "Traceback" not in torn.stderr
    assert len(torn.stderr.strip().splitlines()) == 1
