"""Copy what Python needs of a Debian into a folder that becomes an image's root: no apt, no tools.

Asks dpkg for the files of the packages that Python depends on. Their licences and dpkg's own list
come along, so that scanners for known holes see what is there.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = ["base-files", "dash", "libstdc++6", "netbase", "python3", "tzdata"]
# Asked for by maintainers' scripts, which do not run again.
_SCRIPTS = {"debianutils", "debconf", "dpkg", "perl-base", "readline-common", "tar"}
# Of no use to a server: documents, other languages, character sets of old, Python's own tools.
_LEFT_OUT = re.compile(
    r"^/usr/share/(?!doc/[^/]+/copyright$|zoneinfo/(?!right|posix)|python3?/)"
    r"|^/usr/lib/[^/]+/gconv/"
    r"|^/usr/lib/python3[.]\d+/(test|idlelib|lib2to3|ensurepip|pydoc_data|tkinter|turtledemo|config-)"
    r"|/__pycache__/|^/usr/lib/python3/dist-packages/"
)
_EXTRA = ["/bin", "/sbin", "/lib", "/lib64", "/bin/sh", "/etc/ssl/certs/ca-certificates.crt"]
_EXTRA += ["/var/lib/dpkg/status", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/usr/bin/python3"]


def main(target: Path) -> None:
    """Fill the folder, and make the user that owns nothing but their home and the data folder."""
    names = [*_EXTRA, *(name for package in packages() for name in files_of(package))]
    for name in names:
        if not _LEFT_OUT.search(name):
            copy(Path(name), target)
    users = target / "etc"
    (users / "passwd").write_text(
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        "sfumato:x:10001:10001::/home/sfumato:/usr/sbin/nologin\n"
    )
    (users / "group").write_text("root:x:0:\nsfumato:x:10001:\n")
    for name in ("home/sfumato", "var/lib/sfumato", "backups"):
        folder = target / name
        folder.mkdir(parents=True)
        shutil.chown(folder, 10001, 10001)
        folder.chmod(0o700)
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)
    for name in ("proc", "sys", "dev", "run", "root"):
        (target / name).mkdir(exist_ok=True)


def packages() -> list[str]:
    """Packages that are installed and needed by ``WANTED``."""
    kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
    said = run(
        "apt-cache", "depends", "--recurse", "--installed", *(f"--no-{k}" for k in kinds), *WANTED
    )
    found = {line for line in said.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", line)}
    return sorted(found - _SCRIPTS)


def files_of(package: str) -> list[str]:
    """What dpkg put there."""
    return [line for line in run("dpkg", "-L", package).splitlines() if line.startswith("/")]


def copy(source: Path, target: Path) -> None:
    """A file or link to where it really lies: /lib is a link to /usr/lib."""
    if source.is_dir() and not source.is_symlink():
        return
    real = source.parent.resolve() / source.name
    if not real.is_symlink() and not real.exists():
        return
    place = target / real.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists() and not place.is_symlink():
        shutil.copy2(real, place, follow_symlinks=False)


def run(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
