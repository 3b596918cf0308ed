"""Roles by the groups that somebody is in at the provider of sign-ins."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.loop.account_changes import give_role
from app.loop.departures import let_go
from app.loop.joining import join
from app.loop.members import projects_of, remove_member
from app.loop.ways_in import has_admin
from app.store import Account, Member, Project, Role

_log = structlog.get_logger("sfumato.oidc")


@dataclass(frozen=True)
class GroupRole:
    """What a group is: a role in a project, or without one in the whole installation."""

    group: str
    role: Role
    project: str | None


def group_roles(mapping: Mapping[str, str]) -> tuple[GroupRole, ...]:
    """Roles by group, out of text such as ``brain:reviewer, knee:annotator``.

    Raises ``InvalidInput``, naming the group.
    """
    return tuple(
        _group_role(group, one) for group, text in mapping.items() for one in text.split(",")
    )


def _group_role(group: str, text: str) -> GroupRole:
    project, colon, role = text.strip().rpartition(":")
    if role not in list(Role) or (colon and not project):
        raise InvalidInput(
            f"SFUMATO_OIDC_ROLES gives the group {group!r} {text.strip()!r}: write a role "
            f"({', '.join(Role)}), or a project and a role, such as brain:reviewer"
        )
    return GroupRole(group, Role(role), project.strip() or None)


def apply_groups(
    session: Session, account: Account, groups: Collection[str], roles: Collection[GroupRole]
) -> None:
    """Give an account the roles of its groups, and take those whose groups it has left.

    Where no group stands for anything, as in a project that none names, what was decided here
    stays.
    """
    if any(one.project is None for one in roles):
        _apply_in_installation(session, account, _highest(roles, groups, {None}))
    for project, names in _projects(session, {one.project for one in roles if one.project}):
        _apply_in_project(session, account, project, _highest(roles, groups, names))
    let_go(session, account)


def _projects(session: Session, named: Collection[str]) -> list[tuple[Project, set[str | None]]]:
    """The projects that are meant, each with the names that it is meant by: its own, or, where
    nothing else has that now, one that it had before.
    """
    found = session.scalars(select(Project).order_by(Project.id)).all() if named else ()
    taken = {project.name for project in found}
    meant = [
        (p, {n for n in named if n == p.name or (n in p.former_names and n not in taken)})
        for p in found
    ]
    return [(project, set(names)) for project, names in meant if names]


def _highest(
    roles: Collection[GroupRole], groups: Collection[str], projects: Collection[str | None]
) -> Role | None:
    theirs = {one.role for one in roles if one.project in projects and one.group in groups}
    return max(theirs, key=list(Role).index, default=None)


def _apply_in_installation(session: Session, account: Account, role: Role | None) -> None:
    if account.role is role:
        return
    if account.role is Role.ADMIN and not has_admin(session, besides=account):
        _log.warning("no group makes the last admin one, who stays it", account=account.name)
        return
    if role is None and account.role is not Role.ADMIN:
        # Members by that role; what a project's admin decided otherwise stays.
        for name in [name for name, has in projects_of(session, account) if has is account.role]:
            project = session.scalars(select(Project).filter_by(name=name)).one()
            remove_member(session, project, account.name, None)
    give_role(session, account, role, None)


def _apply_in_project(
    session: Session, account: Account, project: Project, role: Role | None
) -> None:
    if account.role is Role.ADMIN:
        return
    wanted = max(
        (one for one in (role, account.role) if one is not None),
        key=list(Role).index,
        default=None,
    )
    if wanted is not None:
        join(session, project, account, wanted, None)
    elif session.get(Member, (project.id, account.id)) is not None:
        remove_member(session, project, account.name, None)
