"""Found by every Python process of the topology: its clock goes by what a file says.

The file holds the seconds by which the clock is wrong; it may change at any time. What counts
elapsed time (``time.monotonic``) is right, as it is on a machine whose clock is set.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


def _follow(path: Path) -> None:
    import time_machine

    wrong_by, travelling = 0.0, None
    while True:
        try:
            asked = float(path.read_text() or 0)
        except (OSError, ValueError):
            asked = wrong_by
        if asked != wrong_by:
            if travelling is not None:
                travelling.stop()
            travelling = time_machine.travel(
                datetime.now(UTC) + timedelta(seconds=asked), tick=True
            )
            travelling.start()
            wrong_by = asked
        time.sleep(0.1)


if "CHAOS_CLOCK" in os.environ:
    threading.Thread(target=_follow, args=(Path(os.environ["CHAOS_CLOCK"]),), daemon=True).start()
