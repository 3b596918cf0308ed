"""Settings that stand in files, as secrets of Docker, Kubernetes and systemd do."""

import pytest
from pydantic import ValidationError
from redis.connection import parse_url
from sqlalchemy import make_url

from app.cli.installation import settings_of
from app.core.errors import InvalidInput
from app.settings import Settings, unknown_variables

ODD = "a/b@:c%?#é"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(f"{ODD}\n")
    return path


def test_a_file_holds_a_setting(monkeypatch, file):
    file.write_text("a-token-of-the-monitoring\n")
    monkeypatch.setenv("SFUMATO_METRICS_TOKEN_FILE", str(file))
    token = settings_of().metrics_token
    assert token.get_secret_value() == "a-token-of-the-monitoring"
    assert "a-token" not in repr(settings_of())
    assert unknown_variables() == []


def test_a_mapping_in_a_file_is_json(monkeypatch, file):
    file.write_text('{"it": "admin"}')
    monkeypatch.setenv("SFUMATO_OIDC_ROLES_FILE", str(file))
    monkeypatch.setenv("SFUMATO_OIDC_GROUPS_CLAIM", "groups")
    assert settings_of().oidc_roles == {"it": "admin"}


def test_an_error_of_one_setting_quotes_no_other(monkeypatch):
    with pytest.raises(ValidationError) as error:
        Settings(oidc_issuer="https://id.example.org", oidc_client_secret="of-nobody-else")
    assert "of-nobody-else" not in str(error.value)


def test_the_variable_itself_counts_more(monkeypatch, file):
    monkeypatch.setenv("SFUMATO_LOG_LEVEL_FILE", str(file))
    monkeypatch.setenv("SFUMATO_LOG_LEVEL", "error")
    assert settings_of().log_level == "error"


def test_passwords_from_files_go_into_the_urls(monkeypatch, file):
    monkeypatch.setenv("SFUMATO_DATABASE_URL", "postgresql+psycopg://sfumato@db:5433/x?a=b")
    monkeypatch.setenv("SFUMATO_BROKER_URL", "redis://broker:6379/1")
    monkeypatch.setenv("SFUMATO_DATABASE_PASSWORD_FILE", str(file))
    monkeypatch.setenv("SFUMATO_BROKER_PASSWORD_FILE", str(file))
    settings = settings_of(port=1234)
    url = make_url(settings.effective_database_url)
    assert (url.username, url.password, url.host, url.port) == ("sfumato", ODD, "db", 5433)
    assert (url.database, url.query) == ("x", {"a": "b"})
    broker = parse_url(settings.broker_url)
    assert (broker["password"], broker["host"], broker["db"]) == (ODD, "broker", 1)


def test_a_password_replaces_the_one_in_the_url(monkeypatch):
    monkeypatch.setenv("SFUMATO_DATABASE_URL", "postgresql+psycopg://sfumato:old@db/x")
    monkeypatch.setenv("SFUMATO_DATABASE_PASSWORD", "new")
    assert make_url(settings_of().effective_database_url).password == "new"


def test_without_a_server_a_password_changes_nothing(monkeypatch):
    monkeypatch.setenv("SFUMATO_DATABASE_PASSWORD", "new")
    monkeypatch.setenv("SFUMATO_BROKER_PASSWORD", "new")
    settings = settings_of()
    assert settings.effective_database_url.startswith("sqlite:///")
    assert settings.broker_url is None


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_that_says_nothing_is_named(monkeypatch, tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SFUMATO_BROKER_URL_FILE", str(path))
    with pytest.raises(InvalidInput, match=f"SFUMATO_BROKER_URL_FILE names {path}, which"):
        settings_of()


def test_what_a_file_holds_is_checked_as_what_a_variable_holds(monkeypatch, file):
    monkeypatch.setenv("SFUMATO_PORT_FILE", str(file))
    with pytest.raises(InvalidInput, match="a setting that cannot be used"):
        settings_of()


def test_a_mistyped_one_is_told(monkeypatch, file):
    monkeypatch.setenv("SFUMATO_BROKER_ULR_FILE", str(file))
    assert unknown_variables() == ["SFUMATO_BROKER_ULR_FILE"]
