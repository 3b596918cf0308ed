"""Worker processes, for the tests that end them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


class Workers:
    """Worker processes of this test, all ended with it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment = {**os.environ, **environment}
        self.log = log
        self.processes: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "worker"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def workers(database_url, valkey_url, tmp_path):
    started = Workers(
        {
            "SFUMATO_DATABASE_URL": database_url,
            "SFUMATO_BROKER_URL": valkey_url,
            "SFUMATO_HEARTBEAT_SECONDS": "0.5",
            "SFUMATO_STALE_SECONDS": "8",
            "SFUMATO_SWEEP_SECONDS": "0.5",
            "SFUMATO_RESEND_SECONDS": "1",
            "SFUMATO_PRECISION": "float32",
        },
        tmp_path / "workers.log",
    )
    yield started
    started.end()
