"""Webhooks: who is told of what happens in a project, and what became of it."""

from typing import Annotated

from fastapi import Depends, Response
from sqlalchemy.orm import Session

from app.api.dependencies import (
    DEFAULT_LIMIT,
    CurrentSettings,
    Cursor,
    EvenArchived,
    Limit,
    Reading,
    SignedIn,
    Writing,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.base import Page, page_of
from app.api.schemas.hooks import DeliveryOut, HookChange, HookCreate, HookMade, HookOut
from app.core.hook_addresses import Network
from app.loop import deliveries, hooks
from app.loop.access import Reader
from app.loop.projects import find_project
from app.store import Hook, Role

router = Router(prefix="/projects/{name}/hooks", tags=["hooks"])


def _allowed(settings: CurrentSettings) -> tuple[Network, ...]:
    return settings.allowed_networks


Allowed = Annotated[tuple[Network, ...], Depends(_allowed)]


def _found(session: Session, admin: Reader, name: str, hook_id: int) -> Hook:
    return hooks.find_hook(session, find_project(session, admin, name, Role.ADMIN), hook_id)


@router.post("", status_code=201)
def create(
    name: Name, body: HookCreate, session: Writing, admin: SignedIn, allowed: Allowed
) -> HookMade:
    """Have a URL told what happens in the project. The secret that signs is shown this once."""
    project = find_project(session, admin, name, Role.ADMIN)
    made = hooks.create_hook(session, project, str(body.url), body.events, allowed, admin.account)
    return HookMade.model_validate(made)


@router.get("")
def list_hooks(
    name: Name,
    session: Reading,
    admin: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[HookOut]:
    """The project's webhooks, without their secrets."""
    project = find_project(session, admin, name, Role.ADMIN)
    return page_of(HookOut, hooks.list_hooks(session, project, cursor, limit))


@router.get("/{hook_id}")
def show(name: Name, hook_id: Id, session: Reading, admin: SignedIn) -> HookOut:
    """One webhook, without its secret."""
    return HookOut.model_validate(_found(session, admin, name, hook_id))


@router.patch("/{hook_id}")
def change(
    name: Name, hook_id: Id, body: HookChange, session: Writing, admin: SignedIn, allowed: Allowed
) -> HookOut:
    """Change where it goes or what it tells of; disable it, or enable it again."""
    hook = _found(session, admin, name, hook_id)
    url = None if body.url is None else str(body.url)
    changed = hooks.change_hook(
        session, hook, url, body.events, body.enabled, allowed, admin.account
    )
    return HookOut.model_validate(changed)


@router.delete("/{hook_id}", status_code=204, response_class=Response)
def delete(name: Name, hook_id: Id, session: Writing, admin: EvenArchived) -> Response:
    """Delete a webhook and the log of what was sent to it."""
    hook = _found(session, admin, name, hook_id)
    hooks.delete_hook(session, hook, admin.account)
    return Response(status_code=204)


@router.post("/{hook_id}/test", status_code=202)
def test(name: Name, hook_id: Id, session: Writing, admin: SignedIn) -> DeliveryOut:
    """Send it something that says `"event": "test"`; its deliveries tell what became of it."""
    hook = _found(session, admin, name, hook_id)
    return DeliveryOut.model_validate(hooks.try_hook(session, hook, admin.account))


@router.get("/{hook_id}/deliveries")
def list_deliveries(
    name: Name,
    hook_id: Id,
    session: Reading,
    admin: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[DeliveryOut]:
    """What was, or is to be, sent to it, newest first; it is kept for some weeks."""
    hook = _found(session, admin, name, hook_id)
    return page_of(DeliveryOut, deliveries.list_deliveries(session, hook, cursor, limit))
