"""What this worker can load, remembered: trying every network takes seconds at each start.

The answer is kept in the user's cache folder under a key of all that it hangs on: our files, those
of the packages that bring something, libraries and pretrained encoders. Only a wholly good answer
is: what failed may have been mended without a trace in the key.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from app.core import catalogue
from app.settings import Settings
from worker.registry import TRIED, Capability, report

_LIBRARIES = ("torch", "monai")
_OURS = Path(__file__).resolve().parent.parent


def capabilities(settings: Settings) -> list[Capability]:
    """As ``registry.report``, from the last worker that found everything as it is now."""
    folder = settings.cache_folder
    path = None if folder is None else folder / f"capabilities-{_key(settings)}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        if path is not None:
            return [_read(one) for one in json.loads(path.read_text())]
    found = report()
    if path is None or any(one.error for one in found):
        return found
    # A full or forbidden disk costs seconds at the next start, nothing else.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps([_plain(one) for one in found]))
        fresh.replace(path)
    return found


def _plain(one: Capability) -> dict[str, object]:
    limits = {name: [r.start, r.stop, r.step] for name, r in one.limits.items()}
    return {**asdict(one), "limits": limits}


def _read(kept: dict[str, object]) -> Capability:
    limits = kept["limits"]
    if not isinstance(limits, dict):
        raise TypeError("limits are by name")
    return Capability(**{**kept, "limits": {n: range(*r) for n, r in limits.items()}})  # type: ignore[arg-type]


def _key(settings: Settings) -> str:
    digest = hashlib.sha256()
    for line in _lines(settings):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()[:32]


def _lines(settings: Settings) -> Iterator[str]:
    yield from (f"{name} {version(name)}" for name in _LIBRARIES)
    for kind in TRIED:
        for name, entry in catalogue.entries(kind).items():
            yield f"{kind} {name} {entry.target} {entry.package} {_home(entry.target)}"
    for folder in ("app/core", "worker"):
        yield from (_stamp(path) for path in sorted((_OURS / folder).rglob("*.py")))
    encoders = settings.encoder_weights
    if encoders is not None:
        yield f"encoders {encoders} {encoders.is_dir()}"
        if encoders.is_dir():
            yield from (_stamp(path) for path in sorted(encoders.iterdir()))


def _home(target: str) -> str:
    """All files beside the module that an entry of somebody's package names."""
    top = target.partition(":")[0].partition(".")[0]
    with suppress(ImportError, ValueError):
        spec = find_spec(top)
        folders = list(spec.submodule_search_locations or []) if spec else []
        if folders and Path(folders[0]).resolve().parent != _OURS:
            files = sorted(path for one in folders for path in Path(one).rglob("*.py"))
            return " ".join(map(_stamp, files))
        if spec and spec.origin and not folders:
            return _stamp(Path(spec.origin))
    return ""


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{path} {found.st_size} {found.st_mtime_ns}"
