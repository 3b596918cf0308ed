"""A whole service of one's own, as a process beside this one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import SfumatoError


@contextmanager
def running_service(
    data: Path, log: Path, *options: str, threads: int | None = None
) -> Iterator[str]:
    """`sfumato up` on a free port; yields its address, and ends it. Raises ``SfumatoError``.

    ``threads``: of torch in its worker, where it is not to be the usual number.
    """
    # The service watches us: it ends with this process, however this process ends.
    ours = ["--data", str(data), "--port", "0", "--parent", str(os.getpid()), *options]
    # What the caller's environment says of other installations is not for this one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SFUMATO_")}
    if threads is not None:
        environment["SFUMATO_THREADS"] = str(threads)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up", *ours],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("ready "):
                raise SfumatoError(f"the service did not start: see {log}")
            yield line.split()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
