"""Series out of a real archive: found, fetched as they lie there, read by the DICOM layout."""

import io
import os
import shutil
import subprocess
import sys

import highdicom
import numpy as np
import pydicom
import pytest

from app.core.errors import VolumeInvalid
from app.formats.dicomweb import fetch_series, find_series
from app.formats.dicomweb_query import wanted_from
from app.formats.dicomweb_server import DicomWebSource
from app.formats.layout import ReadOptions, find_layout
from tests.dicom_files import ct_series, new_uid
from tests.orthanc import orthanc, upload

OLD, NEW = new_uid(), new_uid()
SERIES = {f"{OLD}.1": (OLD, 4), f"{NEW}.1": (NEW, 4), f"{NEW}.2": (NEW, 7)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with orthanc(tmp_path_factory.mktemp("archive") / "orthanc") as url:
        for series, (study, depth) in SERIES.items():
            upload(url, ct_series(study, series, depth, "20190101" if study == OLD else "20200510"))
        yield f"{url}/dicom-web"


def found(url, **asked):
    return {one.series for one in find_series(DicomWebSource(url), wanted_from(**asked)).series}


def test_series_are_found_by_study_by_uid_and_by_query(archive):
    assert found(archive, studies=[NEW]) == {f"{NEW}.1", f"{NEW}.2"}
    assert found(archive, studies=[NEW, OLD]) == set(SERIES)
    assert found(archive, series=[f"{OLD}.1", f"{NEW}.2"]) == {f"{OLD}.1", f"{NEW}.2"}
    assert found(archive, queries=["Modality=CT,StudyDate=20200101-"]) == {f"{NEW}.1", f"{NEW}.2"}
    assert found(archive, studies=[OLD], queries=["Modality=CT"]) == {f"{OLD}.1"}
    with pytest.raises(VolumeInvalid, match="no series"):
        found(archive, queries=["Modality=MR"])


def test_a_series_comes_as_it_lies_there_and_is_read(archive, tmp_path):
    source = DicomWebSource(archive)
    series = find_series(source, wanted_from(studies=[NEW])).series
    for one in fetch_series(source, series, tmp_path / "fetched"):
        depth = SERIES[one.found.series][1]
        sent = ct_series(NEW, one.found.series, depth)
        assert one.refused is None
        # As a set: an archive lists the instances of a series in any order.
        assert {file.read_bytes() for file in one.folder.iterdir()} == set(sent.values())
        (case,) = find_layout("dicom").read(one.folder, ReadOptions()).cases
        volume = case.read()
        values = np.asarray(volume.channels[0].pixels)
        assert values.shape == (depth, 8, 6)
        shutil.rmtree(one.folder)


def test_signs_in_with_user_and_password(tmp_path):
    with orthanc(
        tmp_path / "orthanc", AuthenticationEnabled=True, RegisteredUsers={"anna": "secret"}
    ) as url:
        upload(url, ct_series(OLD, f"{OLD}.1"), auth=("anna", "secret"))
        wanted = wanted_from(studies=[OLD])
        with pytest.raises(VolumeInvalid, match="401"):
            find_series(DicomWebSource(f"{url}/dicom-web"), wanted)
        source = DicomWebSource(f"{url}/dicom-web", user="anna", password="secret")
        (one,) = fetch_series(source, find_series(source, wanted).series, tmp_path / "fetched")
        assert one.instances == 4


def sfumato_import(url, data, *options):
    command = [sys.executable, "-m", "app.cli", "import", "dicomweb", url, "--project", "p"]
    return subprocess.run(
        [*command, "--data", str(data), *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "TMPDIR": str(data.parent), "COLUMNS": "200"},
    )


def test_one_command_checks_and_imports_what_fits(archive, tmp_path):
    data = tmp_path / "data"
    checked = sfumato_import(archive, data, "--study", NEW, "--check")
    assert checked.returncode == 0, checked.stderr
    assert "2 cases would come in, with 11 new slices" in checked.stdout
    ran = sfumato_import(archive, data, "--query", "Modality=CT,StudyDate=20200101-")
    assert ran.returncode == 0, ran.stderr
    assert "2 cases: 11 new slices" in ran.stdout
    again = sfumato_import(archive, data, "--series", f"{NEW}.1", "--series", f"{OLD}.1")
    assert "2 cases: 4 new slices, 4 were there already" in again.stdout
    # Nothing of a patient stays, and no file that was fetched.
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    for path in data.rglob("*"):
        assert path.is_dir() or b"Mustermann" not in path.read_bytes()
    assert "Mustermann" not in ran.stdout + ran.stderr


def test_a_command_that_asks_for_nothing_fetches_nothing(tmp_path):
    ran = sfumato_import("http://127.0.0.1:9/dicom-web", tmp_path / "data")
    assert ran.returncode != 0
    assert "name a study, a series or a query" in ran.stderr


def test_a_segmentation_comes_with_the_series_that_it_marks(archive, tmp_path):
    study = new_uid()
    files = ct_series(study, f"{study}.1")
    images = [pydicom.dcmread(io.BytesIO(content)) for content in files.values()]
    mask = np.zeros((4, 8, 6), dtype=np.uint8)
    mask[1, 2:5, 1:4] = 1
    concept = highdicom.sr.CodedConcept("T", "99TEST", "lesion")
    described = highdicom.seg.SegmentDescription(1, "lesion", concept, concept, "MANUAL")
    marks = highdicom.seg.Segmentation(
        images,
        mask,
        "BINARY",
        [described],
        highdicom.UID(),
        2,
        highdicom.UID(),
        1,
        "a",
        "b",
        "c",
        "d",
    )
    held = io.BytesIO()
    marks.save_as(held)
    upload(archive.removesuffix("/dicom-web"), {**files, "marks": held.getvalue()})
    source = DicomWebSource(archive)
    series = find_series(source, wanted_from(studies=[study])).series
    assert {one.modality for one in series} == {"CT", "SEG"}
    assert all(not one.refused for one in fetch_series(source, series, tmp_path))
    data_set = find_layout("dicom").read(tmp_path, ReadOptions(masks=True))
    (case,) = data_set.cases
    assert data_set.classes == ["background", "lesion"]
    np.testing.assert_array_equal(case.read().classes, mask)
