"""Every picture and file that the documents point to is in the repository, not on one machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# [words](target) and ![words](target), without the ones of code blocks.
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def tracked() -> set[str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone: what git keeps is not known here")
    found = subprocess.run(
        [git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return set(found.split("\0")) - {""}


def links(text: str) -> list[str]:
    return [t for t in _LINK.findall(_CODE.sub("", text)) if not re.match(r"[a-z]+:|#", t)]


def test_links_are_found_where_they_are():
    text = "[a](b.md) ![c](d.png) [e](https://f) [g](#h) `[i](j)`\n```\n[k](l)\n```\n[m](n.md#o)"
    assert links(text) == ["b.md", "d.png", "n.md#o"]


def test_what_documents_point_to_is_kept():
    files = tracked()
    folders = {str(parent) for name in files for parent in Path(name).parents}
    missing = []
    for name in sorted(files):
        if not name.endswith(".md"):
            continue
        for target in links((ROOT / name).read_text()):
            path = (ROOT / name).parent / target.partition("#")[0]
            place = str(path.resolve().relative_to(ROOT.resolve()))
            if place not in files and place not in folders:
                missing.append(f"{name} points to {target}")
    assert missing == []
