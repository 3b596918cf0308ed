"""A damaged file beside a good one: the good one comes in, and the other is told in words."""

import os
import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.importing import ImportOptions, import_folder
from tests.importing.folders import write
from tests.unit.dicom_files import numbered, series

# SFUMATO_FUZZ=2000 tries more.
TRIES = int(os.environ.get("SFUMATO_FUZZ", "40"))
# Where a byte is changed, and to what.
CHANGES = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=8)


def damaged(path, changes) -> None:
    body = bytearray(path.read_bytes())
    for place, value in changes:
        body[place % len(body)] = value
    path.write_bytes(body)


def checked(database, layout, folder):
    """What would come in; whatever is refused is refused by a reader that expected it."""
    report = import_folder(database, layout, folder, "p", ImportOptions(check=True))
    said = str(report.refused) + str(report.left_out)
    assert "should not happen" not in said, said
    return report


fuzzed = settings(
    max_examples=TRIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@fuzzed
@given(changes=CHANGES)
def test_nifti(sqlite_database, tmp_path, changes):
    folder = emptied(tmp_path / "set")
    write(folder / "good.nii", seed=1)
    write(folder / "odd.nii", seed=2)
    damaged(folder / "odd.nii", changes)
    report = checked(sqlite_database, "nifti", folder)
    assert "good" in {case.name for case in report.taken}


@fuzzed
@given(changes=CHANGES)
def test_dicom(sqlite_database, tmp_path, changes):
    folder = emptied(tmp_path / "set")
    series(folder / "good", numbered())
    series(folder / "odd", numbered())
    damaged(sorted((folder / "odd").iterdir())[1], changes)
    report = checked(sqlite_database, "dicom", folder)
    assert "good" in {case.name for case in report.taken}
