"""The two kinds of work that a benchmark is cut into, as any process runs them."""

import json
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from app.core.errors import SfumatoError
from worker.benchmark.bench import make_bench
from worker.benchmark.ground import Ground, read_ground
from worker.benchmark.record import Record
from worker.benchmark.runs import run_strategy
from worker.benchmark.seeds import prepare_seed
from worker.benchmark.settings import GroundSettings, settings_kept
from worker.registry import find_strategy
from worker.segmentation.precision import choose_device, choose_precision

# The stop file is looked for this often, not at every training step.
_SECONDS_BETWEEN_CHECKS = 0.3


class Stopped(Exception):
    """The benchmark was told to stop; what is finished is kept."""


def work(
    folder: Path,
    strategy: str | None,
    seed: int,
    device: str,
    on_check: Callable[[], None] = lambda: None,
) -> None:
    """Do a strategy's run on a seed, or without a strategy prepare the seed.

    All that is needed stands in the folder. An error is left there as ``error.txt``, so that
    other runs go on. ``on_check`` is called every now and then while it works.
    """
    record = Record(folder)
    asked = json.loads(record.settings_file.read_text())
    settings = settings_kept(asked["settings"])
    chosen = choose_device(device)
    error_file = (
        record.run_folder(strategy, seed) if strategy else record.seed_folder(seed)
    ) / "error.txt"
    try:
        bench = make_bench(
            _ground(Path(asked["data"]), settings.ground.model_dump_json()),
            settings,
            record,
            seed,
            chosen,
            choose_precision(settings.precision, chosen),
            _checker(record, on_check),
        )
        if strategy is None:
            prepare_seed(bench, first=bool(asked["strategies"]))
        else:
            run_strategy(bench, find_strategy(asked["strategies"][strategy]))
    except Stopped:
        return
    except Exception as error:  # whatever went wrong belongs to this run, not to the others
        error_file.parent.mkdir(parents=True, exist_ok=True)
        known = isinstance(error, SfumatoError)
        text = str(error) if known else "".join(traceback.format_exception(error))
        error_file.write_text(text)
    else:
        with suppress(FileNotFoundError):
            error_file.unlink()


@lru_cache(maxsize=1)
def _ground(path: Path, settings: str) -> Ground:
    return read_ground(path, GroundSettings.model_validate_json(settings))


def _checker(record: Record, on_check: Callable[[], None]) -> Callable[[], None]:
    looked_at = time.monotonic()

    def check() -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at < _SECONDS_BETWEEN_CHECKS:
            return
        looked_at = time.monotonic()
        on_check()
        if record.stop_file.exists():
            raise Stopped

    return check
