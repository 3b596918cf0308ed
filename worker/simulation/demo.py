"""`sfumato demo`: the real path from volumes to a better model, on a phantom, in minutes."""

import shutil
import time
from pathlib import Path

from rich.console import Console

from app.core.errors import InvalidInput
from app.formats.phantom import write_phantom
from app.importing import ImportOptions
from app.settings import Settings
from app.store import Database
from app.transfers.terminal import import_data_set
from worker.simulation.annotators import Behaviour
from worker.simulation.results import RoundResult
from worker.simulation.service import running_service
from worker.simulation.simulate import simulate_project

_MARK = "sfumato-demo"
_CASES, _SLICES, _SIZE = 44, 20, 64
# Small enough for two cores and a minute and a half.
_SETTINGS = [
    "query.size=24",
    "query.initial_size=16",
    "query.strategy=entropy-selective",
    "training.width=8",
    # In so little time one network learns more than three would.
    "training.members=1",
    "training.steps=210",
]


def run_demo(folder: Path, rounds: int, seed: int = 0) -> list[RoundResult]:
    """Make a phantom, start the service, import, annotate, plot; leave nothing running."""
    console = Console()
    started = time.monotonic()
    data = _emptied(folder)
    console.print(f"[1/4] writing {_CASES} phantom cases into {folder}")
    write_phantom(folder / "phantom", _CASES, _SLICES, _SIZE, seed)
    console.print("[2/4] starting the service")
    # A second thread would gain little on so small pictures, and wait for whoever else computes.
    with running_service(data, folder / "service.log", threads=1) as url:
        settings = Settings(data=data)
        database = Database(settings.effective_database_url)
        console.print(f"[3/4] importing into the service at {url}")
        import_data_set(
            database,
            "msd",
            folder / "phantom",
            "demo",
            ImportOptions(
                masks="oracle",
                validation=0.0,
                test=0.25,
                seed=seed,
                assignments=[*_SETTINGS, f"query.seed={seed}", f"training.seed={seed}"],
            ),
        )
        console.print(f"[4/4] two simulated annotators over HTTP, {rounds} rounds")
        picture = folder / "learning-curve.png"
        results = simulate_project(
            database,
            settings,
            "demo",
            rounds,
            2,
            None,
            Behaviour(),
            seed,
            url,
            picture,
        )
        database.dispose()
    console.print(f"all of it took {time.monotonic() - started:.0f} s; nothing is left running")
    console.print(f"Look again: sfumato up --data {data}", soft_wrap=True)
    return results


def _emptied(folder: Path) -> Path:
    """The demo's data folder, empty. Raises ``InvalidInput`` for a folder that is not ours."""
    mark = folder / f".{_MARK}"
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise InvalidInput(f"{folder} holds something else: give the demo a folder of its own")
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    mark.touch()
    return data
