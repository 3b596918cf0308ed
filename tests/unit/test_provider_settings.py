"""Settings of sign-in by a provider: whole or refused, told of on their page and in the texts."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.loop.group_roles import GroupRole, group_roles
from app.provider_settings import ProviderSettings
from app.settings import Settings
from app.store import Role

ROOT = Path(__file__).parents[2]
WHOLE = {
    "oidc_issuer": "https://id.example.org",
    "oidc_client_id": "sfumato",
    "oidc_client_secret": "secret",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oidc_issuer": "http://id.example.org"}, "must begin with https"),
        ({"oidc_issuer": "id.example.org"}, "must begin with https"),
        ({"oidc_client_id": None}, "SFUMATO_OIDC_CLIENT_ID"),
        ({"oidc_client_secret": None}, "SFUMATO_OIDC_CLIENT_SECRET_FILE"),
        ({"oidc_roles": {"a": "admin"}}, "SFUMATO_OIDC_GROUPS_CLAIM"),
        ({"public_url": "https://sfumato.example.org/there"}, "SFUMATO_PUBLIC_URL"),
        ({"public_url": "sfumato.example.org"}, "SFUMATO_PUBLIC_URL"),
    ],
)
def test_half_of_a_provider_is_refused_and_what_is_wrong_named(change, words):
    with pytest.raises(ValidationError, match=words):
        Settings(**{**WHOLE, **change})


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost"])
def test_on_this_machine_nobody_listens(issuer):
    assert Settings(**{**WHOLE, "oidc_issuer": issuer}).client_secret() == "secret"


def test_the_secret_is_read_from_a_file_and_not_shown(tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text("of the file\n")
    monkeypatch.setenv("SFUMATO_OIDC_CLIENT_SECRET_FILE", str(file))
    settings = Settings(**{k: v for k, v in WHOLE.items() if k != "oidc_client_secret"})
    assert settings.client_secret() == "of the file"
    assert "of the file" not in repr(settings)


def test_groups_stand_for_roles():
    assert group_roles({"a": "admin", "b": "brain:viewer, two words:admin"}) == (
        GroupRole("a", Role.ADMIN, None),
        GroupRole("b", Role.VIEWER, "brain"),
        GroupRole("b", Role.ADMIN, "two words"),
    )


@pytest.mark.parametrize("text", ["", "chief", "brain:", ":viewer", "brain:chief", "viewer,"])
def test_groups_that_stand_for_nothing_are_named(text):
    with pytest.raises(InvalidInput, match="group 'a'"):
        group_roles({"a": text})


def test_every_setting_stands_on_the_page():
    page = (ROOT / "docs" / "sign-in.md").read_text("utf-8")
    told = set(re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\| (`[^|]+)\|", page, re.M))))
    assert told == {name.upper() for name in ProviderSettings.model_fields}


def test_every_reason_for_a_refusal_has_words_on_the_page():
    texts = (ROOT / "web" / "src" / "texts.ts").read_text("utf-8")
    [listed] = re.findall(r"refused: \{(.*?)\} as", texts, re.S)
    words = set(re.findall(r"^      (\w+):", listed, re.M))
    source = "".join(file.read_text("utf-8") for file in (ROOT / "app").rglob("*.py"))
    raised = set(re.findall(r"(?:ProviderRefused|BackToSignIn)\(\s*\"(\w+)\"", source))
    assert words == raised | {"untrusted"}
    assert len(raised) >= 7
