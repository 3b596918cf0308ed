"""An environment that holds pyproject's group `server` and nothing else, made of links."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def group() -> list[str]:
    return pyproject()["dependency-groups"]["server"]


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """What pip would install: these, and what they need in turn, by name."""
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(one), "") for one in requirements]
    while waiting:
        asked, extra = waiting.pop()
        extras = asked.extras or {""}
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(asked.name)
        known = name in found
        try:
            found[name] = distribution(asked.name)
        except PackageNotFoundError:
            continue  # its own marker was of another platform, or the library does without
        needs = [Requirement(one) for one in found[name].requires or []]
        if not known or asked.extras:
            waiting += [(one, extra) for one in needs for extra in extras]
    return found


def link_group(folder: Path) -> None:
    """Links to the distributions of the group alone, and what says which Sfumato this is."""
    for found in closure(group()).values():
        for file in found.files or []:
            top = file.parts[0]
            link, target = folder / top, Path(str(found.locate_file(top)))
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(target)
    about = pyproject()["project"]
    lines = ["Metadata-Version: 2.4", "Name: sfumato", f"Version: {about['version']}"]
    lines += [f"Requires-Dist: {one}" for one in about["dependencies"]]
    information = folder / f"sfumato-{about['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("\n".join(lines) + "\n")


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Of a process that sees this checkout and the linked distributions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    return {**kept, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **settings}


def python(*arguments: str) -> list[str]:
    """A command of Python that does not look into the site's packages (-S), nor the user's (-s)."""
    return [sys.executable, "-s", "-S", *arguments]


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run Python there to its end."""
    return subprocess.run(
        python(*arguments),
        env=environment(folder, **settings),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
