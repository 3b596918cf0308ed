"""Archives that were made to harm, each with a good case that should come in all the same.

``whole``: the archive as such is to be refused, so the good case cannot come.
"""

import gzip
import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from tests.fuzz.goods import Files, cases, packed, pictures_of_a_case
from tests.importing.test_archives import with_flag

MEGABYTE = 2**20


@dataclass(frozen=True)
class Trap:
    """An archive, whether it is refused as a whole, and what the good case is called."""

    body: bytes
    whole: bool = False
    layout: str = "nifti"
    good: str = "good"


def good_case() -> Files:
    """What is to come in."""
    return {"good.nii.gz": cases()["nifti"]["b.nii.gz"]}


def _beside_good(more: Files, layout: str = "nifti") -> Trap:
    return Trap(packed(more | good_case()), layout=layout)


def _member(name: str, content: bytes, **said: int) -> Trap:
    """A member of that name, with these numbers in its entry."""
    info = zipfile.ZipInfo(name)
    for key, value in said.items():
        setattr(info, key, value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for good, body in good_case().items():
            opened.writestr(good, body)
        opened.writestr(info, content)
    return Trap(buffer.getvalue())


def zeros(megabytes: int) -> bytes:
    """So many of zeros, as a stream of gzip; few bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


def _overlapping(entries: int = 400) -> Trap:
    """One member's bytes, named by many entries: 400 times 10 MB in 10 kB."""
    body = packed({"good.nii.gz": good_case()["good.nii.gz"], "000.nii": bytes(10 * MEGABYTE)})
    start = int.from_bytes(body[-6:-2], "little")
    at = body.rindex(b"PK\x01\x02")
    entry, first = body[at:-22], body[start:at]
    many = b"".join(entry.replace(b"000", b"%03d" % n) for n in range(entries))
    size = len(first) + len(many)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, entries + 1, entries + 1, size, start, 0)
    return Trap(body[:start] + first + many + end, whole=True)


def _says_less() -> Trap:
    """Members that hold 60 MB and say that they hold 9 bytes."""
    body = packed({"a.nii": bytes(60 * MEGABYTE)} | good_case())
    told, said = struct.pack("<I", 60 * MEGABYTE), struct.pack("<I", 9)
    return Trap(body.replace(told, said))


def _gz_of(header_says: int, behind: int) -> bytes:
    """A packed NIfTI whose header promises so many columns, with so many MB of zeros behind."""
    header = bytearray(cases()["nifti"]["a.nii"][:352])
    struct.pack_into("<4h", header, 40, 3, header_says, header_says, header_says)
    return gzip.compress(bytes(header), mtime=0) + zeros(behind)


def _lying_gz() -> Trap:
    """The last four bytes, which tell the size, say 4 GB."""
    good = cases()["nifti"]["b.nii.gz"]
    return _beside_good({"a.nii.gz": good[:-4] + b"\xff" * 4, "b.nii.gz": good[:-9]})


def _deflated_dicom() -> Trap:
    """DICOM that is packed as a whole, and grows to 300 MB."""
    one = next(iter(cases()["dicom"].values()))
    syntax = one.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20])
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    grown = b"".join(body.compress(bytes(MEGABYTE)) for _ in range(300)) + body.flush()
    good = {f"good/{name}": content for name, content in cases()["dicom"].items()}
    return Trap(packed({"odd/a.dcm": syntax[:400] + grown} | good), layout="dicom")


def _points_elsewhere(path: str) -> Trap:
    """Headers whose voxels lie in another file."""
    header = cases()["nrrd"]["c.mhd"].replace(b"c.raw", path.encode())
    said = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
    nhdr = f"{said}data file: {path}\n\n".encode()
    good = {"good.nrrd": cases()["nrrd"]["a.nrrd"]}
    return Trap(packed({"a.mhd": header, "b.nhdr": nhdr} | good), layout="nrrd")


def _deep_json(depth: int = 100_000) -> Trap:
    return Trap(packed({"dataset.json": b"[" * depth} | good_case()), True, "nnunet")


def _dataset_of(path: str) -> Trap:
    """A description that names files outside of the archive."""
    said = {"labels": {"0": "a", "1": "b"}, "modality": {"0": "CT"}, "numTraining": 1}
    good = {"image": "./imagesTr/good.nii.gz", "label": "./labelsTr/good.nii.gz"}
    said |= {"training": [{"image": path, "label": path}, good]}
    files = {"dataset.json": json.dumps(said).encode()}
    for where in good.values():
        files[where[2:]] = good_case()["good.nii.gz"]
    return Trap(packed(files), layout="msd")


def _pictures() -> Trap:
    files = {f"images/good/{name}": body for name, body in pictures_of_a_case().items()}
    return Trap(packed(files | {"images/odd/0.png": b"\x89PNG\r\n\x1a\n"}), layout="png")


LINK = (stat.S_IFLNK | 0o777) << 16
TRAPS: dict[str, Callable[[], Trap]] = {
    "overlapping": _overlapping,
    "says less": _says_less,
    "many columns": lambda: _beside_good({"a.nii.gz": _gz_of(32767, 1)}),
    "4 GB by its header": lambda: _beside_good({"a.nii.gz": _gz_of(1290, 1)}),
    "300 MB behind": lambda: _beside_good({"a.nii.gz": cases()["nifti"]["b.nii.gz"] + zeros(300)}),
    "300 MB alone": lambda: _beside_good({"a.nii.gz": zeros(300)}),
    "gz in gz": lambda: _beside_good({"a.nii.gz": gzip.compress(zeros(300))}),
    "gz that lies": _lying_gz,
    "zip in zip": lambda: _beside_good({"a.zip": packed({"b.nii": bytes(9 * MEGABYTE)})}),
    "zip by another name": lambda: _beside_good({"a.nii": packed({"b": bytes(9 * MEGABYTE)})}),
    "link": lambda: _member("a.nii", b"/etc/passwd", external_attr=LINK, create_system=3),
    "link of a folder": lambda: _member("x", b"/etc", external_attr=LINK, create_system=3),
    "device": lambda: _member("a.nii", b"", external_attr=stat.S_IFCHR << 16, create_system=3),
    "leads out": lambda: _member("../../a.nii", b"x"),
    "absolute": lambda: _member("/etc/a.nii", b"x"),
    "drive": lambda: _member("C:\\a.nii", b"x", create_system=0),
    "escapes": lambda: _member("a\x1b[31m\u202e.nii", b"x"),
    "deep": lambda: _member("a/" * 90 + "b.nii", b"x"),
    "long": lambda: _member("a" * 3000 + ".nii", b"x"),
    "twice": lambda: _member("good.nii.gz", b"x"),
    "capitals": lambda: replace(_member("GOOD.nii.gz", b"x"), good="good-2"),
    "file and folder": lambda: _member("good.nii.gz/b.nii", b"x"),
    "encrypted": lambda: Trap(with_flag(packed(good_case()), 1), True),
    "bzip2": lambda: Trap(packed(good_case(), zipfile.ZIP_BZIP2), True),
    "lzma": lambda: Trap(packed(good_case(), zipfile.ZIP_LZMA), True),
    "deflated DICOM": _deflated_dicom,
    "voxels of the machine": lambda: _points_elsewhere("/etc/passwd"),
    "voxels of a neighbour": lambda: _points_elsewhere("../../../secret"),
    "deep JSON": _deep_json,
    "description of others": lambda: _dataset_of("/etc/passwd"),
    "description of neighbours": lambda: _dataset_of("../../../secret"),
    "only folders": lambda: Trap(packed({"a/": b"", "b/": b""}), True),
    "pictures": _pictures,
}


@cache
def trap(name: str) -> Trap:
    """The archive of that name."""
    return TRAPS[name]()
