"""Archives of all shapes: what can be unpacked is, what cannot is named."""

import errno
import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from app.core.errors import InvalidInput
from app.store import Role
from app.transfers.archives import UNPACKED, UPLOAD, Unpacked, unpack
from tests.conftest import picture


def packed(*members, compression=zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of (name or info, bytes), in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return buffer.getvalue()


def unpacked(tmp_path, body: bytes):
    """The names that come out, and what is left out."""
    (tmp_path / UPLOAD).write_bytes(body)
    found = unpack(tmp_path, "set")
    files = {
        path.relative_to(found.root).as_posix(): path.read_bytes()
        for path in found.root.rglob("*")
        if path.is_file()
    }
    # What was unpacked is taken as it is.
    (tmp_path / UPLOAD).unlink()
    assert unpack(tmp_path, "set") == found
    return files, dict(found.left_out)


def renamed(body: bytes, before: bytes, after: bytes) -> bytes:
    """The same archive with the bytes of a name changed, in both of its places."""
    assert len(before) == len(after)
    assert body.count(before) == 2
    return body.replace(before, after)


def with_flag(body: bytes, flag: int) -> bytes:
    """The same with a flag of all members set."""
    changed = bytearray(body)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + place] |= flag
            at = changed.find(signature, at + 1)
    return bytes(changed)


def test_a_damaged_member_is_named_and_the_others_come_out(tmp_path):
    content = bytes(range(256)) * 50
    body = bytearray(packed(("a", b"good"), ("b", content), ("c", b"good")))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        header = archive.getinfo("b").header_offset
    at = body.find(b"b", header + 30) + 1
    body[at + 10 : at + 60] = b"\xff" * 50
    files, left_out = unpacked(tmp_path, bytes(body))
    assert files == {"a": b"good", "c": b"good"}
    assert "damaged" in left_out["b"]


def test_a_wrong_checksum_is_named(tmp_path):
    body = packed(("a", b"good"), ("b", b"content"), compression=zipfile.ZIP_STORED)
    files, left_out = unpacked(tmp_path, body.replace(b"content", b"CONTENT"))
    assert list(files) == ["a"]
    assert left_out == {"b": "it is damaged in the archive (its checksum is wrong): pack it anew"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Müller/日本.dcm", "Müller/日本.dcm"),
        ("a//b/./c", "a/b/c"),
        ("/etc/passwd", "etc/passwd"),
        ("C:/a/b", "a/b"),
        ("line\nbreak/x", "line_break/x"),
    ],
)
def test_names_stay_inside_and_as_they_are(tmp_path, name, kept):
    files, left_out = unpacked(tmp_path, packed((name, b"x"), ("other/file", b"y")))
    assert (set(files), left_out) == ({kept, "other/file"}, {})


def test_names_of_macos_are_utf8_without_saying_so(tmp_path):
    wanted = "Füße/日本.dcm".encode()
    stand_in = b"x" * (len(wanted) - 4) + b".dcm"
    body = renamed(packed((stand_in.decode(), b"x")), stand_in, wanted)
    assert list(unpacked(tmp_path, body)[0]) == ["Füße/日本.dcm"]


def test_names_of_dos_are_dos(tmp_path):
    body = renamed(packed(("M_ller/x", b"x")), b"M_ller/x", b"M\x81ller/x")
    assert list(unpacked(tmp_path, body)[0]) == ["Müller/x"]


def test_backslashes_separate_where_nothing_else_does(tmp_path):
    body = packed(("pat1|ser1|IM0", b"0"), ("pat2|ser1|IM0", b"1"))
    files, _ = unpacked(tmp_path, body.replace(b"|", b"\\"))
    assert files == {"pat1/ser1/IM0": b"0", "pat2/ser1/IM0": b"1"}


def test_what_leads_out_is_left_out(tmp_path):
    (tmp_path / "in").mkdir()
    files, left_out = unpacked(tmp_path / "in", packed(("../../evil", b"x"), ("a/b", b"y")))
    assert list(files) == ["a/b"]
    assert "leads out" in left_out["../../evil"]
    assert not (tmp_path / "evil").exists()


def test_the_same_name_twice_is_taken_once_and_said(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        body = packed(("IM0", b"first"), ("IM1", b"x"), ("IM0", b"second"), ("IM0", b"third"))
    files, left_out = unpacked(tmp_path, body)
    assert files["IM0"] == b"first"
    assert set(left_out) == {"IM0", "IM0 (2)"}


def test_a_file_where_a_folder_is_wanted_is_named(tmp_path):
    files, left_out = unpacked(
        tmp_path, packed(("a", b"x"), ("a/b", b"y"), ("c/d", b"z"), ("c", b""))
    )
    assert set(files) == {"a", "c/d"}
    assert set(left_out) == {"a/b", "c"}


def test_long_names_links_and_what_systems_leave(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [("x" * 300, b"x"), (link, b"/etc/passwd"), ("__MACOSX/._a", b"x"), ("._a", b"x")]
    files, left_out = unpacked(tmp_path, packed(*members, ("a", b"y"), ("empty/", b"")))
    assert list(files) == ["a"]
    assert set(left_out) == {"x" * 300, "link"}
    assert "255 bytes" in left_out["x" * 300]


def test_what_is_encrypted_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="encrypted"):
        unpacked(tmp_path, with_flag(packed(("a", b"secret")), 1))


def test_bounds_are_of_what_comes_out(tmp_path):
    lies = bytearray(packed(("zeros", b"\0" * 60_000_000)))
    with pytest.raises(InvalidInput, match="would unpack to 60000000 bytes"):
        unpacked(tmp_path, bytes(lies))
    at = lies.find(b"PK\x01\x02")
    lies[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(InvalidInput):
        unpacked(tmp_path, bytes(lies))


def test_a_member_that_says_less_than_it_holds_is_named_and_the_others_come_out(tmp_path):
    lies = bytearray(packed(("zeros", b"\0" * 60_000_000), ("good", b"y")))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = lies.find(signature) + place
        lies[at : at + 4] = (1000).to_bytes(4, "little")
    files, left_out = unpacked(tmp_path, bytes(lies))
    assert files == {"good": b"y"}
    assert "damaged" in left_out["zeros"]


def test_an_archive_in_an_archive_is_named_however_deep(tmp_path):
    inner = packed(("zeros", b"\0" * 10_000_000))
    files, left_out = unpacked(
        tmp_path, packed(("a/in.zip", packed(("in.zip", inner))), ("b", b"y"))
    )
    assert files == {"b": b"y"}
    assert "archive in the archive" in left_out["a/in.zip"]


def with_fields(body: bytes, *fields: tuple[bytes, int, str, int]) -> bytes:
    """The same with fields of the first member's headers set: signature, place, format, value."""
    changed = bytearray(body)
    for signature, place, kind, value in fields:
        struct.pack_into(kind, changed, changed.find(signature) + place, value)
    return bytes(changed)


def test_names_of_windows_have_backslashes_beside_others(tmp_path):
    body = packed(("pat1|ser1|IM0", b"0"), ("a/b", b"1")).replace(b"|", b"\\")
    files, _ = unpacked(tmp_path, with_fields(body, (b"PK\x01\x02", 5, "<B", 0)))
    assert files == {"pat1/ser1/IM0": b"0", "a/b": b"1"}


def test_a_backslash_of_unix_is_part_of_a_name_where_slashes_separate(tmp_path):
    body = packed(("a|b", b"0"), ("a/b", b"1")).replace(b"|", b"\\")
    assert set(unpacked(tmp_path, body)[0]) == {"a\\b", "a/b"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "leads out"),
        ("/../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("C:/../evil", "leads out"),
        ("..|..|evil", "leads out"),
        ("a/" * 1500 + "x", "folders deep"),
        ("/".join(["n" * 200] * 30), "too long together"),
        ("inner.ZIP", "archive in the archive"),
        ("d/", "no file's name"),
    ],
)
def test_one_odd_member_is_named_and_the_other_comes_out(tmp_path, name, why):
    (tmp_path / "in").mkdir()
    body = packed((name, b"x"), ("good", b"y")).replace(b"|", b"\\")
    # Made on DOS, where a backslash separates.
    body = with_fields(body, (b"PK\x01\x02", 5, "<B", 0))
    files, left_out = unpacked(tmp_path / "in", body)
    assert list(files) == ["good"]
    (said,) = left_out.values()
    assert why in said
    assert str(tmp_path) not in said
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("method", [9, 12, 14, 93, 99])
def test_other_packings_are_named_and_not_tried(tmp_path, method):
    body = packed(("a", b"x"), ("good", b"y"))
    body = with_fields(body, (b"PK\x03\x04", 8, "<H", method), (b"PK\x01\x02", 10, "<H", method))
    files, left_out = unpacked(tmp_path, body)
    assert list(files) == ["good"]
    assert "packed in a way" in left_out["a"]


@pytest.mark.parametrize("place", [2**63 - 2000, 2**64 - 1])
def test_a_place_that_no_file_has_is_damage(tmp_path, place):
    member = zipfile.ZipInfo("a")
    # An extra of another kind, as long as the one with the place, which takes its room.
    member.extra = struct.pack("<HHQ", 0x9999, 8, 0)
    body = bytearray(packed((member, b"x"), ("good", b"y")))
    at = body.find(b"PK\x01\x02")
    struct.pack_into("<I", body, at + 42, 0xFFFFFFFF)
    struct.pack_into("<HHQ", body, at + 46 + 1, 1, 8, place)
    files, left_out = unpacked(tmp_path, bytes(body))
    assert list(files) == ["good"]
    assert "damaged" in left_out["a"]


def test_a_folder_by_its_mark_alone_is_a_folder(tmp_path):
    body = packed(("d", b""), ("d/x", b"y"))
    marked = with_fields(body, (b"PK\x01\x02", 5, "<B", 0), (b"PK\x01\x02", 38, "<I", 0x10))
    assert unpacked(tmp_path, marked) == ({"d/x": b"y"}, {})


def test_an_archive_of_which_nothing_comes_out_is_refused_with_reasons(tmp_path):
    body = packed(("d/b", b"content"), compression=zipfile.ZIP_STORED)
    with pytest.raises(InvalidInput, match="d/b: it is damaged"):
        unpacked(tmp_path, body.replace(b"content", b"CONTENT"))
    for empty in (packed(), packed(("__MACOSX/._a", b"x"))):
        with pytest.raises(InvalidInput, match="holds no files"):
            unpacked(tmp_path, empty)


def test_what_an_interruption_left_half_is_unpacked_anew(tmp_path):
    half = tmp_path / UNPACKED / "set"
    half.mkdir(parents=True)
    (half / "a").write_bytes(b"ha")
    assert unpacked(tmp_path, packed(("a", b"half"))) == ({"a": b"half"}, {})


def test_names_that_are_one_for_the_disk_are_taken_once(tmp_path, monkeypatch):
    opened = Path.open

    def without_capitals(path, mode="r", **rest):
        return opened(path.with_name(path.name.casefold()), mode, **rest)

    monkeypatch.setattr(Path, "open", without_capitals)
    files, left_out = unpacked(tmp_path, packed(("im0", b"first"), ("IM0", b"second")))
    assert files == {"im0": b"first"}
    assert "twice" in left_out["IM0"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    opened = Path.open

    def full(path, mode="r", **rest):
        if path.name == "b":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, **rest)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(InvalidInput, match="disk is full") as refused:
        unpacked(tmp_path, packed(("a", b"x"), ("b", b"y")))
    assert str(tmp_path) not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [UPLOAD]


def test_a_file_of_the_report_and_a_member_of_its_name_are_both_told(tmp_path):
    report = {"IM0": "it is no DICOM"}
    Unpacked(tmp_path, {"IM0": "it is in the archive twice"}).tell(report)
    assert report == {"IM0": "it is no DICOM", "IM0 (2)": "it is in the archive twice"}


@pytest.mark.parametrize("cut", [0, 1, 30, 60, -30, -1])
def test_what_is_no_archive_is_refused(tmp_path, cut):
    body = packed(("a", bytes(range(256)) * 20))
    with pytest.raises(InvalidInput):
        unpacked(tmp_path, body[:cut])


def test_one_damaged_member_does_not_end_an_import(api):
    admin = api.as_("root", Role.ADMIN)
    good = [(f"images/a/{n}.png", picture(seed=n)) for n in range(3)]
    body = bytearray(packed(("images/b/0.png", picture(seed=9)), *good))
    body[120:180] = b"\xff" * 60
    reply = admin.post("/projects/p/imports", params={"layout": "png"}, content=bytes(body))
    assert reply.status_code == 200, reply.text
    assert reply.json()["new_slices"] == 3
    assert "damaged" in reply.json()["left_out"]["images/b/0.png"]
