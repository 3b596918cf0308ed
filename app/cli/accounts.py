"""Tokens: made, listed, revoked."""

from typing import TYPE_CHECKING, Annotated

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


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.add_typer(tokens, name="token")
