"""Archives of all shapes: what can be unpacked is, what cannot is named."""

import io
import stat
import zipfile

import pytest

from app.core.errors import InvalidInput
from app.store import Role
from app.transfers.archives import UPLOAD, unpack
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
    at = body.find(b"b") + 1
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
