"""Whom accounts are at the provider of sign-ins: linked by admins, seen, unlinked."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, contains_eager

from app.core.errors import AlreadyExists, InvalidInput, NotFound
from app.core.plain import unfit
from app.loop.access import Reader, allow_installation, check_no_program, lock_access
from app.loop.account_changes import find_account
from app.loop.audit import record
from app.loop.audit_chain import known_address_key
from app.loop.paging import Page, paginate
from app.loop.sign_ins import end_sign_ins
from app.loop.ways_in import check_admin_left
from app.store import Account, Identity, Member, Role

# For somebody to sign in for the first time, once an admin has said that they may.
LEAVE = timedelta(days=7)
_LONGEST = 255


@dataclass(frozen=True)
class IdentityView:
    """Whom an account is at the provider. Without ``subject``: whom it waits for, how long."""

    account: str
    issuer: str
    subject: str | None
    name_there: str | None
    created_at: datetime
    expires_at: datetime | None


def identity_view(identity: Identity) -> IdentityView:
    """An identity as it is shown."""
    return IdentityView(
        identity.account.name,
        identity.issuer,
        identity.subject,
        identity.name_there,
        identity.created_at,
        identity.expires_at,
    )


def list_identities(session: Session, cursor: int | None, limit: int) -> Page[IdentityView]:
    """A page of all identities."""
    query = select(Identity).join(Identity.account).options(contains_eager(Identity.account))
    return paginate(session, query, Identity.id, cursor, limit, identity_view)


def link(
    session: Session, reader: Reader, name: str, issuer: str, subject: str, now: datetime
) -> Identity:
    """Make an account that of one person at the provider, known by their subject there.

    Raises ``NotFound``, ``NotAllowed``, ``InvalidInput``, and ``AlreadyExists`` where either is
    linked already.
    """
    account = _linkable(session, reader, name)
    _check_text("subject", subject)
    other = session.scalar(select(Identity).filter_by(issuer=issuer, subject=subject))
    if other is not None:
        raise AlreadyExists(
            f"{subject!r} is linked to the account {other.account.name!r}: unlink that one first"
        )
    found = Identity(account=account, issuer=issuer, subject=subject, created_at=now)
    _keep(session, found)
    record(session, "identity.link", reader.account, subject=name, issuer=issuer, there=subject)
    return found


def allow_by_name(
    session: Session, reader: Reader, name: str, issuer: str, name_there: str, now: datetime
) -> Identity:
    """Let the first whom the provider calls ``name_there`` become an account's, for some days.

    Raises as ``link``, and ``InvalidInput`` for an admin's account, of the installation or a
    project: a name can be chosen, or be given to another; a subject cannot.
    """
    account = _linkable(session, reader, name)
    _check_text("name", name_there)
    if is_admin(session, account):
        raise InvalidInput(
            f"{name!r} is an admin, and a name at the provider is no proof enough of that: give "
            "the subject (`sub`) that the provider knows them by; after they have tried to sign in "
            "it is in the audit trail"
        )
    waiting = select(Identity).filter_by(issuer=issuer, name_there=name_there, subject=None)
    other = session.scalar(waiting.where(Identity.expires_at > now))
    if other is not None and other.account_id != account.id:
        raise AlreadyExists(
            f"the account {other.account.name!r} waits for {name_there!r}: unlink that one first"
        )
    found = Identity(account=account, issuer=issuer, name_there=name_there, created_at=now)
    found.expires_at = now + LEAVE
    _keep(session, found)
    record(session, "identity.allow", reader.account, subject=name, issuer=issuer, there=name_there)
    return found


def unlink(session: Session, reader: Reader, name: str, now: datetime) -> None:
    """Let an account sign in by the provider no more, until it is linked anew; its sessions end.

    Raises ``NotFound``, ``NotAllowed``.
    """
    allow_installation(reader)
    lock_access(session)
    account = find_account(session, name)
    found = session.scalar(select(Identity).filter_by(account_id=account.id))
    if found is None:
        raise NotFound(f"the account {name[:140]!r} is linked to nobody at the provider")
    session.delete(found)
    end_sign_ins(session, account, now)
    there = found.subject or found.name_there
    record(
        session, "identity.unlink", reader.account, subject=name, issuer=found.issuer, there=there
    )
    if account.role is Role.ADMIN:
        check_admin_left(session, reader)


def is_admin(session: Session, account: Account) -> bool:
    """Whether an account is an admin of the installation or of any project."""
    of_project = exists().where(Member.account_id == account.id, Member.role == Role.ADMIN)
    return account.role is Role.ADMIN or bool(session.scalar(select(of_project)))


def attempts_key(session: Session) -> bytes | None:
    """What sign-ins that were begun are signed with: the installation's own, by all its servers."""
    key = known_address_key(session)
    return hmac.digest(key, b"sign-in by a provider", "sha256") if key else None


def _linkable(session: Session, reader: Reader, name: str) -> Account:
    """The account, which is linked to nobody; leave that was given before is taken back."""
    allow_installation(reader)
    check_no_program(name)
    lock_access(session)
    account = find_account(session, name)
    found = session.scalar(select(Identity).filter_by(account_id=account.id))
    if found is not None and found.subject is not None:
        raise AlreadyExists(f"the account {name!r} is linked to {found.subject!r}: unlink it first")
    if found is not None:
        session.delete(found)
        session.flush()
    return account


def _keep(session: Session, found: Identity) -> None:
    session.add(found)
    session.flush()


def _check_text(what: str, text: str) -> None:
    if not 0 < len(text) <= _LONGEST or unfit(text, "") is not None:
        raise InvalidInput(f"the {what} at the provider has 1 to {_LONGEST} plain characters")
