"""Processes that somebody starts again when they end, as systemd or an orchestrator would."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_REST_SECONDS = 0.5


class Kept:
    """A process in a session of its own, started again whenever it ends, until ``end``."""

    def __init__(
        self, name: str, command: Sequence[str], environment: dict[str, str], folder: Path
    ) -> None:
        self.name = name
        # What this process alone takes for the time: seconds by which it is wrong.
        self.clock = folder / f"{name}.clock"
        self.clock.write_text("0")
        self._command = command
        self._environment = {
            **environment,
            "CHAOS_CLOCK": str(self.clock),
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent / "clock"), str(Path(__file__).parents[1])]
            ),
        }
        self._log = folder / f"{name}.log"
        self._ending = threading.Event()
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int:
        """Of its present life."""
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """To the process itself, not to its children."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does when memory runs out: no last words."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """End it for good, and all that it started."""
        self._ending.set()
        self._keeper.join()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        """What it said, over all its lives."""
        return self._log.read_text(errors="replace")

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while not self._ending.wait(0.05):
            if self.process.poll() is not None:
                time.sleep(_REST_SECONDS)
                self.process = self._start()
