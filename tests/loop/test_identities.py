"""Identities by commands, on both engines."""

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.core.errors import AlreadyExists, InvalidInput
from app.loop.accounts import create_token
from app.store import Event, Identity, Role


@pytest.fixture
def sfumato(database, database_url, monkeypatch, tmp_path):
    """Runs a command of `sfumato account`."""
    with database.writing() as session:
        create_token(session, "root", Role.ADMIN)
        create_token(session, "ann", Role.ANNOTATOR)
    for name, value in {
        "DATA": str(tmp_path / "data"),
        "DATABASE_URL": database_url,
        "OIDC_ISSUER": "https://id.example.org",
        "OIDC_CLIENT_ID": "sfumato",
        "OIDC_CLIENT_SECRET": "secret",
    }.items():
        monkeypatch.setenv(f"SFUMATO_{name}", value)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli, ["account", *words])
        if done.exception is not None:
            raise done.exception
        return done.output

    return run


def test_accounts_are_linked_listed_and_unlinked(sfumato, database):
    assert "waits until" in sfumato("link", "ann", "--name", "ann@example.org")
    assert "waits for ann@example.org until" in sfumato("identities")
    assert "is linked to s-1" in sfumato("link", "ann", "--subject", "s-1")
    [line] = sfumato("identities").splitlines()
    assert line.split() == ["ann", "s-1", "(https://id.example.org)"]
    with pytest.raises(AlreadyExists, match="unlink it first"):
        sfumato("link", "ann")
    assert "linked to nobody" in sfumato("unlink", "ann")
    assert sfumato("identities") == ""
    with database.reading() as session:
        assert session.query(Identity).count() == 0
        acts = [event.action for event in session.query(Event).order_by(Event.id)]
    assert acts[-3:] == ["identity.allow", "identity.link", "identity.unlink"]


def test_an_admin_is_linked_by_subject_alone(sfumato):
    with pytest.raises(InvalidInput, match="subject"):
        sfumato("link", "root")
    assert "is linked to s-9" in sfumato("link", "root", "--subject", "s-9")


def test_without_a_provider_nobody_is_linked(sfumato, monkeypatch):
    monkeypatch.delenv("SFUMATO_OIDC_ISSUER")
    with pytest.raises(InvalidInput, match="SFUMATO_OIDC_ISSUER is not set"):
        sfumato("link", "ann")
