"""Accounts as tests need them: made when they are not there, members of every project."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.access import Reader
from app.loop.joining import join_every_project
from app.store import Account, Role


def named_account(session: Session, name: str, role: Role) -> Account:
    """The account of that name; made, and a member of all projects, when there is none."""
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        account = Account(name=name, role=role)
        session.add(account)
        session.flush()
        join_every_project(session, account)
    return account


def reader(account: Account) -> Reader:
    """Somebody with a token of everything."""
    return Reader(account)
