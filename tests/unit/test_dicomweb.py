"""What is asked of a DICOMweb server, and what happens when it answers badly or not at all."""

import logging
import re
import shutil
import subprocess

import pytest

from app.cli.dicomweb import Signing, source_of
from app.core.errors import InvalidInput, VolumeInvalid
from app.formats.dicomweb import FoundSeries, fetch_series, find_series
from app.formats.dicomweb_query import Wanted
from app.formats.dicomweb_server import DicomWebServer, DicomWebSource
from app.settings import Settings
from tests.dicomweb_archive import SECRET, STUDY, Archive, serving


@pytest.fixture
def archive():
    return Archive()


def fetched(archive, folder, wanted=None, **options):
    wanted = wanted or Wanted(studies=(STUDY,))
    with serving(archive) as url:
        source = DicomWebSource(url, first_wait=0.0, **options)
        found = find_series(source, wanted)
        return found.warnings, list(fetch_series(source, found.series, folder))


def files_of(one):
    return [path.read_bytes() for path in sorted(one.folder.iterdir())]


def test_every_series_of_a_study_comes_byte_for_byte(archive, tmp_path):
    warnings, fetched_series = fetched(archive, tmp_path)
    assert warnings == []
    for one in fetched_series:
        assert files_of(one) == list(archive.series[one.found.series].values())
        assert one.folder == tmp_path / one.found.series


def test_one_series_is_asked_for_alone(archive, tmp_path):
    _, (one,) = fetched(archive, tmp_path, Wanted(series=("1.2.3.2",)))
    assert one.found == FoundSeries(STUDY, "1.2.3.2")


def test_results_that_come_in_pages_all_come(archive, tmp_path):
    archive.page = 1
    _, both = fetched(archive, tmp_path)
    assert [one.instances for one in both] == [4, 4]


def test_a_server_that_cannot_be_asked_for_more_is_named(archive, tmp_path):
    archive.page = 1
    archive.fault = lambda path, times: 400 if path.endswith("series") and times == 2 else None
    warnings, found = fetched(archive, tmp_path)
    assert len(found) == 1
    assert "there may be others" in warnings[0]


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_passes_by_itself_is_asked_for_again(archive, tmp_path, status):
    archive.fault = lambda path, times: status if times < 3 else None
    _, both = fetched(archive, tmp_path)
    assert [one.refused for one in both] == [None, None]


def test_a_reply_that_is_cut_is_completed_file_by_file(archive, tmp_path):
    archive.fault = lambda path, times: "cut" if path.endswith("series/1.2.3.1") else None
    _, (first, _) = fetched(archive, tmp_path)
    assert files_of(first) == list(archive.series["1.2.3.1"].values())


@pytest.mark.parametrize("fault", [404, 500, 503, "cut"])
def test_a_series_that_cannot_come_is_named_and_stops_no_other(archive, tmp_path, fault):
    archive.fault = lambda path, times: (
        fault if re.search(r"series/1\.2\.3\.1(/instances/.*)?$", path) else None
    )
    _, (first, second) = fetched(archive, tmp_path, attempts=2)
    assert first.refused
    assert first.folder is None
    assert not (tmp_path / "1.2.3.1").exists()
    assert second.instances == 4


def test_a_series_with_a_file_that_is_no_dicom_is_refused(archive, tmp_path):
    archive.series["1.2.3.1"]["1.2.3.1.2"] = b"nothing of the kind"
    _, (first, second) = fetched(archive, tmp_path)
    assert "DICOM" in first.refused
    assert second.refused is None


def test_a_stream_without_an_end_is_left(archive, tmp_path):
    files = archive.series["1.2.3.1"]
    archive.repeats = 1000
    archive.listed = [*files, "1.2.3.1.99"]
    _, (first, _) = fetched(archive, tmp_path)
    assert "404" in first.refused


@pytest.mark.parametrize(
    "found",
    [
        "words",
        7,
        {},
        [1, None, "x", []],
        [{"0020000E": None}, {"0020000E": {"Value": None}}, {"0020000E": {"Value": [5]}}],
    ],
)
def test_results_that_are_none_find_nothing(archive, tmp_path, found):
    archive.found = found
    with pytest.raises(VolumeInvalid, match="no series that fits"):
        fetched(archive, tmp_path)


def test_a_uid_that_is_a_path_is_refused_and_stops_no_other(archive, tmp_path):
    series = ("../../x", "1.2.3.1")
    archive.found = [{"0020000E": {"vr": "UI", "Value": [one]}} for one in series]
    _, (outside, inside) = fetched(archive, tmp_path / "below")
    assert "UID" in outside.refused
    assert inside.instances == 4
    assert [path.name for path in tmp_path.iterdir()] == ["below"]


def test_a_file_of_another_instance_is_refused(archive, tmp_path):
    files = archive.series["1.2.3.1"]
    files["1.2.3.1.2"] = files["1.2.3.1.1"]
    _, (first, _) = fetched(archive, tmp_path)
    assert "1.2.3.1.2" in first.refused


def test_a_series_whose_uid_leads_elsewhere_is_refused(tmp_path):
    with serving(Archive()) as url:
        (one,) = fetch_series(DicomWebSource(url), [FoundSeries("1.2", "../..")], tmp_path)
    assert "UID" in one.refused


@pytest.mark.parametrize(
    ("fault", "words"),
    [(401, "--token-file"), (404, "address"), (500, "500"), ("page", "DICOMweb")],
)
def test_a_search_that_fails_says_what_to_do(archive, tmp_path, fault, words):
    archive.fault = lambda path, times: fault
    with pytest.raises(VolumeInvalid, match=words) as raised:
        fetched(archive, tmp_path)
    assert SECRET not in str(raised.value)


def test_nobody_listens(tmp_path):
    source = DicomWebSource("http://127.0.0.1:9", attempts=2, first_wait=0.0)
    with pytest.raises(VolumeInvalid, match=r"127\.0\.0\.1 cannot be reached"):
        find_series(source, Wanted(studies=(STUDY,)))


def test_nothing_that_fits_is_no_success(archive, tmp_path):
    with pytest.raises(VolumeInvalid, match="no series that fits"):
        fetched(archive, tmp_path, Wanted(series=("9.9",)))


def test_signs_in_with_a_token_from_a_file(archive, tmp_path):
    archive.authorized = "Bearer abc"
    (tmp_path / "token").write_text("abc\n")
    with serving(archive) as url:
        source = source_of(Settings(), url, Signing(token_file=tmp_path / "token"))
        assert len(find_series(source, Wanted(studies=(STUDY,))).series) == 2
    assert "abc" not in repr(source)


def test_signs_in_with_user_and_password_of_the_environment(archive, tmp_path, monkeypatch):
    archive.authorized = "Basic w6RubmU6cMOkc3M="
    monkeypatch.setenv("SFUMATO_DICOMWEB_USER", "änne")
    monkeypatch.setenv("SFUMATO_DICOMWEB_PASSWORD", "päss")
    with serving(archive) as url:
        assert find_series(source_of(Settings(), url, Signing()), Wanted(studies=(STUDY,))).series


def test_trusts_only_the_authority_that_is_named(archive, tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate = tmp_path / "certificate.pem"
    # fmt: off
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
               "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", certificate, "-out", tmp_path / "public.pem"]
    # fmt: on
    subprocess.run(command, check=True, capture_output=True)
    with certificate.open("ab") as file:
        file.write((tmp_path / "public.pem").read_bytes())
    wanted = Wanted(studies=(STUDY,))
    with serving(archive, certificate) as url:
        with pytest.raises(VolumeInvalid, match="--authority"):
            find_series(DicomWebSource(url), wanted)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        source = DicomWebSource(url, authority=tmp_path / "public.pem")
        assert len(find_series(source, wanted).series) == 2


def test_nothing_about_a_patient_reaches_a_log_or_a_message(archive, tmp_path, caplog, capfd):
    archive.fault = lambda path, times: 500 if path.endswith("instances/1.2.3.1.1") else None
    archive.series["1.2.3.1"]["1.2.3.1.2"] = b"PatientName=" + SECRET.encode()
    archive.headers = {"Warning": SECRET}
    with caplog.at_level(logging.DEBUG):
        wanted = Wanted(studies=(STUDY,), filters=(("PatientName", SECRET),))
        _, (first, _) = fetched(archive, tmp_path, wanted)
    said = capfd.readouterr()
    assert SECRET not in first.refused + said.out + said.err + caplog.text


@pytest.mark.parametrize(
    "url", ["ftp://host", "host/dicom-web", "https://user:word@host", "http://host?a=b", "http://"]
)
def test_an_address_that_cannot_be_is_refused(url):
    with pytest.raises(InvalidInput):
        find_series(DicomWebSource(url), Wanted(studies=("1.2",)))


def test_a_password_without_encryption_is_named():
    said = DicomWebServer(DicomWebSource("http://pacs.example/dicom-web", token="abc")).words
    assert "without encryption" in said[0]
