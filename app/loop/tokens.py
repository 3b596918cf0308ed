"""Tokens as they are listed and ended; ``accounts`` makes them and knows whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.loop.access import Reader, allow, allow_installation, lock_access
from app.loop.audit import record
from app.loop.paging import Page, paginate
from app.loop.ways_in import check_admin_left
from app.store import Member, Project, Role, Token, utc_now


@dataclass(frozen=True)
class TokenView:
    """A token without its secret. ``project``: of which alone it is; ``role``: there, or of its
    account.
    """

    id: int
    name: str
    role: Role | None
    project: str | None
    created_at: datetime
    revoked_at: datetime | None


def token_view(session: Session, token: Token) -> TokenView:
    """A token as it is shown."""
    account, role, project = token.account, token.account.role, None
    if token.project_id is not None:
        project = session.get_one(Project, token.project_id).name
        member = session.get(Member, (token.project_id, account.id))
        role = member.role if member else role
    return TokenView(token.id, account.name, role, project, token.created_at, token.revoked_at)


def page_of_tokens(
    session: Session, project: Project | None, cursor: int | None, limit: int
) -> Page[TokenView]:
    """A page of all tokens, or of those of one project, oldest first."""
    query = select(Token) if project is None else select(Token).filter_by(project_id=project.id)

    def view(token: Token) -> TokenView:
        return token_view(session, token)

    return paginate(session, query, Token.id, cursor, limit, view)


def list_tokens(session: Session) -> Sequence[TokenView]:
    """All tokens, oldest first."""
    tokens = session.scalars(select(Token).order_by(Token.id)).all()
    return [token_view(session, token) for token in tokens]


def revoke_token(session: Session, reader: Reader, token_id: int) -> Token:
    """End a token's life; one that is revoked already stays so.

    A project's admin ends tokens of that project alone. Raises ``NotFound``, ``NotAllowed``, and
    ``InvalidInput`` for the last way in of an admin of the installation.
    """
    lock_access(session)
    token = session.get(Token, token_id)
    missing = f"there is no token {token_id}: `sfumato token list` shows them"
    if token is None:
        raise NotFound(missing)
    if token.project_id is None:
        allow_installation(reader)
    else:
        allow(session, reader, token.project_id, Role.ADMIN, missing)
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        if token.project_id is None and token.account.role is Role.ADMIN:
            check_admin_left(session, reader)
        of = token.project_id
        record(session, "token.revoke", reader.account, of, token=token.id, of=token.account.name)
    return token
