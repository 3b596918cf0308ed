"""Whom accounts are at the provider of sign-ins: commands beside those of accounts."""

from typing import Annotated

import typer

from app.cli.accounts import accounts
from app.cli.installation import DataOption, database_of, settings_of


def account_link(
    name: str,
    subject: Annotated[
        str | None, typer.Option(help="By which the provider knows them (`sub`).")
    ] = None,
    name_there: Annotated[
        str | None, typer.Option("--name", help="What the provider calls them, if not the same.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Link an account to somebody at the provider of sign-ins: to a subject, or to the first of
    that name who signs in within a week. Admins' accounts need the subject.
    """
    from app.core.errors import InvalidInput
    from app.loop import identities
    from app.loop.access import HERE
    from app.store import database_now

    settings = settings_of(data)
    issuer = settings.oidc_issuer
    if issuer is None:
        raise InvalidInput("SFUMATO_OIDC_ISSUER is not set here: set it as for the server")
    with database_of(settings).writing() as session:
        now = database_now(session)
        if subject is not None:
            identities.link(session, HERE, name, issuer, subject, now)
            typer.echo(f"{name} is linked to {subject}")
            return
        called = name_there or name
        found = identities.allow_by_name(session, HERE, name, issuer, called, now)
        until = f"{found.expires_at:%Y-%m-%d %H:%M} UTC"
    typer.echo(f"{name} waits until {until} for {called} to sign in")


def account_unlink(name: str, data: DataOption = None) -> None:
    """Let an account sign in by the provider no more; its sessions end."""
    from app.loop.access import HERE
    from app.loop.identities import unlink
    from app.store import database_now

    with database_of(settings_of(data)).writing() as session:
        unlink(session, HERE, name, database_now(session))
    typer.echo(f"{name} is linked to nobody")


def account_identities(data: DataOption = None) -> None:
    """List whom accounts are at the provider, and for whom they wait."""
    from app.loop.identities import identity_view
    from app.store import Identity

    with database_of(settings_of(data)).reading() as session:
        for identity in session.query(Identity).order_by(Identity.id):
            one = identity_view(identity)
            who = one.subject
            if one.expires_at is not None:
                who = f"waits for {one.name_there} until {one.expires_at:%Y-%m-%d %H:%M}"
            typer.echo(f"{one.account:<20} {who}  ({one.issuer})")


def add_to(cli: typer.Typer) -> None:
    """Put these commands beside those of accounts."""
    accounts.command("link")(account_link)
    accounts.command("unlink")(account_unlink)
    accounts.command("identities")(account_identities)
