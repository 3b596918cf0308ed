"""Whether an admin of the installation can still get in: nothing may shut all of them out."""

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.loop.access import HERE, Reader
from app.store import Account, Identity, Role, Token


def has_admin(session: Session, besides: Account | None = None) -> bool:
    """Whether an enabled admin, other than ``besides``, has a token of the whole installation, a
    password, or is somebody at the provider of sign-ins.
    """
    token = exists().where(
        Token.account_id == Account.id, Token.project_id.is_(None), Token.revoked_at.is_(None)
    )
    known_there = exists().where(Identity.account_id == Account.id, Identity.subject.is_not(None))
    admins = select(Account.id).where(
        Account.role == Role.ADMIN,
        Account.disabled_at.is_(None),
        or_(token, Account.password_hash.is_not(None), known_there),
    )
    if besides is not None:
        admins = admins.where(Account.id != besides.id)
    return session.scalar(admins.limit(1)) is not None


def check_admin_left(session: Session, reader: Reader) -> None:
    """Refuse, by ``InvalidInput``, what has just been done if no admin could get in any more.

    Called under ``lock_access``, so that two do not shut each other out. Who works on the
    installation's own machine may: they can make another.
    """
    if reader is HERE:
        return
    session.flush()
    if not has_admin(session):
        raise InvalidInput(
            "this is the last way in of an admin, such as a last token: without it nobody could "
            "make another; give an admin a new one first (`sfumato token create --role admin`)"
        )
