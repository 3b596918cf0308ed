"""Webhooks of a project: made, listed, changed, tried, deleted."""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput, NotFound
from app.core.hook_addresses import Network, check_url
from app.loop import deliveries
from app.loop.audit import record
from app.loop.paging import Page, paginate
from app.loop.projects import lock_project
from app.store import Account, Delivery, Hook, HookEvent, Project, database_now

# Each event is a row a hook, written in the transaction of what happened.
_MOST = 20


def create_hook(
    session: Session,
    project: Project,
    url: str,
    events: Sequence[HookEvent],
    allowed: tuple[Network, ...],
    by: Account,
) -> Hook:
    """A new webhook, with a secret that is shown this once.

    ``allowed``: networks that are not public and may be gone to. Raises ``InvalidInput``.
    """
    check_url(url, allowed)
    lock_project(session, project.id)
    of_project = select(func.count()).where(Hook.project_id == project.id)
    if (session.scalar(of_project) or 0) >= _MOST:
        raise InvalidInput(f"project {project.name!r} has {_MOST} webhooks, the most: delete one")
    hook = Hook(
        project_id=project.id,
        url=url,
        events=sorted(set(events)),
        secret=secrets.token_urlsafe(32),
    )
    session.add(hook)
    session.flush()
    record(session, "hook.create", by, project.id, **_about(hook))
    return hook


def find_hook(session: Session, project: Project, hook_id: int) -> Hook:
    """The project's webhook of that id. Raises ``NotFound``."""
    hook = session.get(Hook, hook_id)
    if hook is None or hook.project_id != project.id:
        raise NotFound(f"project {project.name!r} has no webhook {hook_id}")
    return hook


def list_hooks(session: Session, project: Project, cursor: int | None, limit: int) -> Page[Hook]:
    """A page of the project's webhooks."""
    query = select(Hook).where(Hook.project_id == project.id)
    return paginate(session, query, Hook.id, cursor, limit, lambda hook: hook)


def change_hook(
    session: Session,
    hook: Hook,
    url: str | None,
    events: Sequence[HookEvent] | None,
    enabled: bool | None,
    allowed: tuple[Network, ...],
    by: Account,
) -> Hook:
    """Change what is given. One that is enabled again begins anew; disabled, it is sent nothing.

    Raises ``InvalidInput``.
    """
    if url is not None:
        check_url(url, allowed)
        hook.url = url
    if events is not None:
        hook.events = sorted(set(events))
    if enabled is False and hook.enabled:
        deliveries.disable(session, hook, database_now(session))
    if enabled:
        hook.enabled, hook.note, hook.failing_since = True, None, None
    record(session, "hook.change", by, hook.project_id, enabled=hook.enabled, **_about(hook))
    return hook


def delete_hook(session: Session, hook: Hook, by: Account) -> None:
    """Delete a webhook with the log of what was sent to it."""
    session.execute(delete(Delivery).where(Delivery.hook_id == hook.id))
    record(session, "hook.delete", by, hook.project_id, **_about(hook))
    session.delete(hook)


def try_hook(session: Session, hook: Hook, by: Account) -> Delivery:
    """Send a webhook something, to see whether it arrives. Raises ``InvalidInput``."""
    if not hook.enabled:
        raise InvalidInput(f"webhook {hook.id} is disabled: enable it first")
    delivery = deliveries.add_delivery(session, hook, deliveries.TEST, {})
    session.flush()
    record(session, "hook.test", by, hook.project_id, hook=hook.id, delivery=delivery.id)
    return delivery


def _about(hook: Hook) -> dict[str, Any]:
    """For the audit, which is kept for ever: paths of such URLs are often secrets."""
    return {"hook": hook.id, "host": urlsplit(hook.url).hostname, "events": hook.events}
