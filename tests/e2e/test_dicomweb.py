"""Series out of a real archive: found, fetched as they lie there, read by the DICOM layout."""

import shutil

import numpy as np
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
