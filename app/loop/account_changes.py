"""Accounts as an installation's admin sees and changes them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput, NotAllowed, NotFound
from app.loop.access import (
    HERE,
    Reader,
    allow_installation,
    check_no_program,
    lock_access,
)
from app.loop.audit import record
from app.loop.departures import let_go
from app.loop.joining import join_every_project
from app.loop.paging import Page, paginate
from app.loop.sign_ins import end_sign_ins
from app.loop.ways_in import check_admin_left
from app.store import Account, Role, utc_now


@dataclass(frozen=True)
class AccountView:
    """An account. ``role``: see ``store.Account``; ``password``: it has one."""

    name: str
    role: Role | None
    disabled: bool
    password: bool
    created_at: datetime


def account_view(account: Account) -> AccountView:
    """An account as it is shown."""
    return AccountView(
        name=account.name,
        role=account.role,
        disabled=account.disabled_at is not None,
        password=account.password_hash is not None,
        created_at=account.created_at,
    )


def list_accounts(session: Session, cursor: int | None, limit: int) -> Page[AccountView]:
    """A page of all accounts."""
    return paginate(session, select(Account), Account.id, cursor, limit, account_view)


def find_account(session: Session, name: str) -> Account:
    """The account of that name. Raises ``NotFound``."""
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise NotFound(f"there is no account {name[:140]!r}: `sfumato account list` shows them")
    return account


def find_password(session: Session, name: str) -> tuple[int | None, str | None]:
    """The account of that name and the hash of its password, where there are such."""
    row = session.execute(
        select(Account.id, Account.password_hash).where(Account.name == name)
    ).one_or_none()
    return (row.id, row.password_hash) if row else (None, None)


def set_role(session: Session, reader: Reader, name: str, role: Role | None) -> Account:
    """Make an account an admin of the installation, or give it a role in every project, those to
    come included; None: it stays what it is in its projects, and joins no others.

    Raises ``NotFound``, ``NotAllowed``, ``InvalidInput`` for one's own.
    """
    account = _of_another(session, reader, name)
    was = account.role
    give_role(session, account, role, reader.account)
    if was is Role.ADMIN:
        check_admin_left(session, reader)
    return account


def give_role(session: Session, account: Account, role: Role | None, by: Account | None) -> None:
    """The same, without asking who may; by nobody: the provider of sign-ins said so."""
    account.role = role
    if role is not None and role is not Role.ADMIN:
        join_every_project(session, account, by)
    session.flush()
    record(session, "account.role", by, subject=account.name, role=role.value if role else None)
    let_go(session, account)


def set_disabled(session: Session, reader: Reader, name: str, disabled: bool) -> Account:
    """Shut an account out, with its tokens and sessions, or let it in again.

    What it drew stays, what it held goes to others. Raises as ``set_role``.
    """
    account = _of_another(session, reader, name)
    now = utc_now()
    account.disabled_at = (account.disabled_at or now) if disabled else None
    if disabled:
        end_sign_ins(session, account, now)
    act = "account.disable" if disabled else "account.enable"
    record(session, act, reader.account, subject=name)
    let_go(session, account)
    if account.role is Role.ADMIN:
        check_admin_left(session, reader)
    return account


def set_password(
    session: Session, reader: Reader, name: str, password_hash: str | None, knows: bool = False
) -> Account:
    """Keep the hash of an account's new password, or none; its sessions end.

    ``knows``: whoever asks has proved that they know the present one. A password opens all that the
    account is, and outlasts a token: so a token alone gives nobody one. Raises ``NotFound``, and
    ``NotAllowed`` unless it is one's own that is known, or an admin of the installation asks.
    """
    if not (knows and name == reader.account.name and reader.project_id is None):
        allow_installation(reader)
    lock_access(session)
    account = find_account(session, name)
    check_no_program(name)
    account.password_hash = password_hash
    end_sign_ins(session, account, utc_now())
    act = "account.password" if password_hash else "account.no-password"
    record(session, act, reader.account, subject=name)
    if password_hash is None and account.role is Role.ADMIN:
        check_admin_left(session, reader)
    return account


def _of_another(session: Session, reader: Reader, name: str) -> Account:
    allow_installation(reader)
    check_no_program(name)
    lock_access(session)
    account = find_account(session, name)
    if account.id == reader.account.id:
        raise InvalidInput("this is your own account: another admin changes it, so that one stays")
    _check_still_admin(session, reader)
    return account


def _check_still_admin(session: Session, reader: Reader) -> None:
    """Refuse what two admins do to each other at once: whoever came first was the last."""
    if reader is HERE:
        return
    now = session.get(Account, reader.account.id, populate_existing=True)
    if now is None or now.role is not Role.ADMIN or now.disabled_at is not None:
        raise NotAllowed(f"{reader.account.name!r} is no admin of the installation any more")
