"""A browser's session for whom the provider vouches."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.errors import ProviderRefused
from app.core.names import is_safe
from app.core.vouched import Vouched
from app.loop.access import PROGRAMS, lock_access
from app.loop.accounts import new_account
from app.loop.audit import record
from app.loop.group_roles import GroupRole, apply_groups
from app.loop.identities import is_admin
from app.loop.sign_ins import open_session
from app.store import Account, Identity, SignIn


@dataclass(frozen=True)
class ProviderRules:
    """What the provider may decide: whether unknown people get accounts, and roles by group."""

    new_accounts: bool
    roles: tuple[GroupRole, ...]


def sign_in(
    session: Session, who: Vouched, rules: ProviderRules, now: datetime, ttl: timedelta
) -> tuple[str, SignIn]:
    """Open a session for whom the provider vouches: what its cookie holds, and the session.

    Whoever is linked is known by their subject alone. Raises ``ProviderRefused``.
    """
    lock_access(session)
    known = select(Identity).filter_by(issuer=who.issuer, subject=who.subject)
    identity = session.scalar(known) or _by_leave(session, who, now)
    identity = identity or _by_new_account(session, who, rules, now)
    account = identity.account
    if account.disabled_at is not None:
        raise ProviderRefused("disabled", f"the account {account.name!r} is disabled", who)
    apply_groups(session, account, who.groups, rules.roles)
    return open_session(session, account, None, now, ttl, how="provider")


def note_refused(session: Session, refused: ProviderRefused) -> None:
    """Put into the audit trail who was vouched for and not let in; an admin may link them."""
    who = refused.who
    if who is not None:
        record(
            session,
            "sign-in.refused",
            None,
            how="provider",
            why=refused.why,
            issuer=who.issuer,
            there=who.subject,
            name=who.name,
        )


def _by_leave(session: Session, who: Vouched, now: datetime) -> Identity | None:
    """The identity that an admin has left open for somebody of that name, now theirs for ever."""
    if who.name is None:
        return None
    waiting = select(Identity).filter_by(issuer=who.issuer, name_there=who.name, subject=None)
    found = session.scalar(waiting.where(Identity.expires_at > now))
    # Whoever became an admin meanwhile is linked by subject alone.
    if found is None or is_admin(session, found.account):
        return None
    found.subject, found.expires_at = who.subject, None
    session.flush()
    _note_linked(session, found)
    return found


def _by_new_account(
    session: Session, who: Vouched, rules: ProviderRules, now: datetime
) -> Identity:
    if not rules.new_accounts or not _is_free(session, who.name):
        raise ProviderRefused("unknown", "no account here is linked to this person", who)
    account = new_account(session, who.name or "", None)
    record(session, "account.create", account, subject=account.name, how="provider")
    found = Identity(account=account, issuer=who.issuer, subject=who.subject, created_at=now)
    found.name_there = who.name
    session.add(found)
    session.flush()
    _note_linked(session, found)
    return found


def _is_free(session: Session, name: str | None) -> bool:
    """Whether an account may be made of that name: none is called so, in whatever case."""
    if name is None or not is_safe(name) or name.lower() in PROGRAMS:
        return False
    same = select(Account.id).where(func.lower(Account.name) == name.lower())
    return session.scalar(same.limit(1)) is None


def _note_linked(session: Session, found: Identity) -> None:
    account, issuer, there = found.account, found.issuer, found.subject
    record(session, "identity.link", account, subject=account.name, issuer=issuer, there=there)
