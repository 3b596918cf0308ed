"""What a worker can load is found out once, and again when something has changed."""

import pytest

from app.settings import Settings
from tests.plugins import EXAMPLE, installed
from worker import tried
from worker.registry import Capability


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """Counts how often everything is tried; nothing is loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    limited = Capability("network", "unet", None, {"width": range(8, 129, 8)})

    def report():
        made.append(limited)
        return [limited]

    monkeypatch.setattr(tried, "report", report)
    return made


def test_a_second_worker_of_the_same_installation_tries_nothing(reports):
    settings = Settings()
    assert tried.capabilities(settings) == tried.capabilities(settings) == reports[:1]
    assert len(reports) == 1


def test_another_package_or_encoder_is_tried(reports, tmp_path):
    tried.capabilities(Settings())
    with installed(EXAMPLE):
        tried.capabilities(Settings())
    assert len(reports) == 2
    encoders = tmp_path / "encoders"
    settings = Settings(encoder_weights=encoders)
    tried.capabilities(settings)
    assert len(reports) == 3  # a folder that is not there is an error, which a trial finds
    encoders.mkdir()
    (encoders / "efficientnet-b0.safetensors").write_bytes(b"x")
    tried.capabilities(settings)
    assert len(reports) == 4


def test_a_user_without_a_home_keeps_nothing(reports, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("app.settings.Path.home", nowhere)
    for _ in range(2):
        tried.capabilities(Settings())
    assert len(reports) == 2
    for _ in range(2):
        tried.capabilities(Settings(cache=tmp_path / "here"))
    assert len(reports) == 3


def test_a_fault_and_a_damaged_note_are_tried_again(reports, monkeypatch, tmp_path):
    broken = [Capability("network", "unet", "it is broken")]
    with monkeypatch.context() as patched:
        patched.setattr(tried, "report", lambda: broken)
        assert tried.capabilities(Settings()) == broken
    assert tried.capabilities(Settings()) == reports
    (note,) = (tmp_path / "cache" / "sfumato").glob("*.json")
    note.write_text("[{")
    tried.capabilities(Settings())
    assert len(reports) == 2


def test_a_forbidden_cache_folder_is_no_error(reports, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tried.capabilities(Settings()) == reports
