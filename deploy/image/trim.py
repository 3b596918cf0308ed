"""Take out of an environment what running it does not need.

Debuggers' symbols, the libraries' own tests, what only a compiler reads, codecs of pictures that no
scanner writes. Usage: trim.py FOLDER
"""

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_TESTS = {"tests", "test", "__pycache__"}
_FOR_COMPILERS = {".pyi", ".pyx", ".pxd", ".a", ".h", ".hpp", ".c", ".cpp"}
# Of `imagecodecs`: for photographs, textures and floating-point fields; a TIFF that holds one is
# refused with the codec's name.
_CODECS = ("avif", "bcn", "heif", "jpegxl", "jpegxr", "lerc", "pcodec", "rgbe", "sperr", "sz3")
_CODECS += ("ultrahdr", "webp", "zfp")
_LOAD = 1


def main(environment: Path) -> None:
    """Trim the packages of a virtual environment."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    for folder in [path for path in packages.rglob("*") if path.name in _TESTS and path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    for codec in _CODECS:
        for module in packages.glob(f"imagecodecs/_{codec}.*.so"):
            module.unlink()
    remove_unused(packages / "imagecodecs", packages / "imagecodecs.libs")
    for file in [path for path in packages.rglob("*") if path.is_file()]:
        if file.suffix in _FOR_COMPILERS:
            file.unlink()
        elif ".so" in file.suffixes:
            strip(file)
    # The same tables without indentation, which is most of them.
    for table in packages.glob("highdicom/_standard/*.json"):
        table.write_text(json.dumps(json.loads(table.read_text()), separators=(",", ":")))


def remove_unused(package: Path, libraries: Path) -> None:
    """Take out of a wheel's libraries those that none of its modules needs, by way of others."""
    needed: set[str] = set()
    found = {name for module in package.glob("*.so") for name in needs(module)}
    while found:
        needed |= found
        inside = [libraries / name for name in found if (libraries / name).exists()]
        found = {name for library in inside for name in needs(library)} - needed
    for library in libraries.glob("*"):
        if library.name not in needed:
            library.unlink()


def needs(library: Path) -> list[str]:
    """The libraries that an ELF file asks for."""
    command = ["/usr/bin/readelf", "--dynamic", library]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", said)


def strip(library: Path) -> None:
    """Take the symbols out, unless that breaks it, as it does where `patchelf` was at work."""
    stripped = library.with_name(library.name + ".stripped")
    command = ["/usr/bin/strip", "--strip-unneeded", "-o", stripped, library]
    subprocess.run(command, check=True)
    if all(offset % align == address % align for offset, address, align in loads(stripped)):
        shutil.copymode(library, stripped)
        stripped.replace(library)
    else:
        stripped.unlink()


def loads(library: Path) -> Iterator[tuple[int, int, int]]:
    """Offset, address and alignment of what a 64-bit ELF file has loaded."""
    content = library.read_bytes()
    (start,) = struct.unpack_from("<Q", content, 0x20)
    size, count = struct.unpack_from("<HH", content, 0x36)
    for number in range(count):
        kind, _, offset, address, _, _, _, align = struct.unpack_from(
            "<IIQQQQQQ", content, start + number * size
        )
        if kind == _LOAD:
            yield offset, address, align


if __name__ == "__main__":
    main(Path(sys.argv[1]))
