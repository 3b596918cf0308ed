"""Accounts and their tokens: made, listed, changed, revoked; members of projects."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.installation import DataOption, database_of, settings_of

if TYPE_CHECKING:
    from app.store import Role

tokens = typer.Typer(help="Make, list and revoke tokens.", no_args_is_help=True)


@tokens.command("create")
def token_create(
    role: Annotated[str, typer.Option(help="viewer, annotator, reviewer or admin")],
    name: Annotated[str, typer.Option(help="Whose token it is.")],
    project: Annotated[
        str | None, typer.Option(help="The one project that it is good for; without it, all.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Make a token and print it. It is shown this once: only its hash is kept."""
    from app.loop.access import HERE
    from app.loop.accounts import create_token
    from app.loop.projects import find_project
    from app.store import Role

    with database_of(settings_of(data)).writing() as session:
        of = None if project is None else find_project(session, HERE, project, Role.ADMIN)
        token = create_token(session, name, _role(role), project=of)
    typer.echo(token)


def _role(name: str) -> "Role":
    from app.store import Role

    try:
        return Role(name)
    except ValueError as error:
        raise typer.BadParameter(f"a role is one of {', '.join(Role)}") from error


@tokens.command("list")
def token_list(data: DataOption = None) -> None:
    """List the tokens by number; the tokens themselves are not kept."""
    from app.loop.tokens import list_tokens

    with database_of(settings_of(data)).reading() as session:
        for token in list_tokens(session):
            state = f"revoked {token.revoked_at:%Y-%m-%d %H:%M}" if token.revoked_at else "valid"
            made = f"{token.created_at:%Y-%m-%d %H:%M}"
            where = token.project or "all projects"
            who = f"{token.name:<20} {token.role or '':<10} {where:<20}"
            typer.echo(f"{token.id:>4}  {who} {made}  {state}")


@tokens.command("revoke")
def token_revoke(number: int, data: DataOption = None) -> None:
    """Revoke a token by its number."""
    from app.loop.access import HERE
    from app.loop.tokens import revoke_token

    with database_of(settings_of(data)).writing() as session:
        token = revoke_token(session, HERE, number)
        typer.echo(f"token {token.id} of {token.account.name} is revoked")


accounts = typer.Typer(
    help="List accounts, change their roles, shut them out.", no_args_is_help=True
)


@accounts.command("list")
def account_list(data: DataOption = None) -> None:
    """List the accounts: what each is in the installation, and in its projects."""
    from app.loop.members import projects_of
    from app.store import Account

    with database_of(settings_of(data)).reading() as session:
        for account in session.query(Account).order_by(Account.id):
            state = " (disabled)" if account.disabled_at else ""
            if account.role == "admin":
                where = "admin of the installation"
            else:
                roles = projects_of(session, account)
                where = ", ".join(f"{role} of {name}" for name, role in roles) or "no project"
            typer.echo(f"{account.name:<20} {where}{state}")


@accounts.command("role")
def account_role(
    name: str,
    role: Annotated[
        str, typer.Argument(help="viewer, annotator, reviewer or admin; none: joins no projects.")
    ],
    data: DataOption = None,
) -> None:
    """Give an account a role in every project, those to come included, or make it an admin of the
    installation.
    """
    from app.loop.access import HERE
    from app.loop.account_changes import set_role

    with database_of(settings_of(data)).writing() as session:
        set_role(session, HERE, name, None if role == "none" else _role(role))
    typer.echo(f"{name} is now {role}")


@accounts.command("disable")
def account_disable(name: str, data: DataOption = None) -> None:
    """Shut an account out, with its tokens and sessions; what it drew stays."""
    _set_disabled(name, True, data)
    typer.echo(f"{name} is disabled")


@accounts.command("enable")
def account_enable(name: str, data: DataOption = None) -> None:
    """Let an account in again."""
    _set_disabled(name, False, data)
    typer.echo(f"{name} is enabled")


def _set_disabled(name: str, disabled: bool, data: Path | None) -> None:
    from app.loop.access import HERE
    from app.loop.account_changes import set_disabled

    with database_of(settings_of(data)).writing() as session:
        set_disabled(session, HERE, name, disabled)


@accounts.command("password")
def account_password(
    name: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for.")
    ],
    data: DataOption = None,
) -> None:
    """Give an account a password, to sign in with from a browser."""
    from app.core.passwords import hash_password
    from app.loop.access import HERE
    from app.loop.account_changes import set_password

    hashed = hash_password(password, of=name)
    with database_of(settings_of(data)).writing() as session:
        set_password(session, HERE, name, hashed)
    typer.echo(f"{name} has a new password")


@accounts.command("join")
def account_join(
    name: str,
    project: Annotated[str, typer.Option(help="The project.")],
    role: Annotated[str, typer.Option(help="viewer, annotator, reviewer or admin; none: leaves.")],
    data: DataOption = None,
) -> None:
    """Make an account a member of a project, change its role there, or take it out."""
    from app.loop import members
    from app.loop.access import HERE
    from app.loop.projects import find_project
    from app.store import Role

    with database_of(settings_of(data)).writing() as session:
        found = find_project(session, HERE, project, Role.ADMIN)
        if role == "none":
            members.remove_member(session, found, name, None)
        else:
            members.set_member(session, found, name, _role(role), None)
    typer.echo(f"{name} is {'no member' if role == 'none' else role} of {project}")


audit = typer.Typer(help="The audit trail: who did what when.", no_args_is_help=True)


@audit.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="JSON, an entry a line; - prints it.")],
    data: DataOption = None,
) -> None:
    """Write the whole audit trail, oldest first, with its chain."""
    import json
    import sys

    from app.loop.audit import all_events

    opened = sys.stdout if str(file) == "-" else file.open("w", encoding="utf-8")
    count = 0
    with opened as out, database_of(settings_of(data)).reading() as session:
        for event, project, account in all_events(session):
            entry = {
                "id": event.id,
                "at": event.at.isoformat(),
                "account": account,
                "project": project,
                "action": event.action,
                "detail": event.detail,
                "address": event.address,
                "sealed": event.sealed,
                "digest": event.digest,
                "chain": event.chain,
            }
            out.write(json.dumps(entry) + "\n")
            count += 1
    if str(file) != "-":
        typer.echo(f"{count} entries are in {file}")


@audit.command("verify")
def audit_verify(
    export: Annotated[
        Path | None, typer.Option(help="An export of before: is all of it still there?")
    ] = None,
    data: DataOption = None,
) -> None:
    """Check the chain of the audit trail: whether any entry was changed or taken out."""
    from itertools import chain

    from app.loop.audit_chain import broken_links, missing_from

    with database_of(settings_of(data)).reading() as session:
        wrong = 0
        exported = _exported(export) if export is not None else iter(())
        for words in chain(broken_links(session), missing_from(session, exported)):
            wrong += 1
            typer.secho(words, fg="red")
    if wrong:
        raise typer.Exit(1)
    typer.echo("the audit trail is whole")


def _exported(file: Path) -> Iterator[dict[str, Any]]:
    import json

    from app.core.errors import InvalidInput

    names = ("id", "at", "action", "detail", "sealed", "chain")
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                yield {name: entry[name] for name in names}
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidInput(
                    f"line {number} of {file} is no entry of `sfumato audit export`"
                ) from error


@audit.command("go-on")
def audit_go_on(data: DataOption = None) -> None:
    """Seal anew from where a chain ends that was cut; what was wrong stands in the trail then."""
    from app.loop.audit_chain import go_on

    with database_of(settings_of(data)).writing() as session:
        wrong = go_on(session, None)
    typer.echo("nothing was wrong" if wrong is None else f"it goes on, and says: {wrong}")


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.add_typer(tokens, name="token")
    cli.add_typer(accounts, name="account")
    cli.add_typer(audit, name="audit")
