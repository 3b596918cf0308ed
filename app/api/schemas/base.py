"""The one way to shape a reply: from the attributes of what the loop returns."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from app.core.plain import Strict
from app.loop.paging import Page as LoopPage

T = TypeVar("T")
R = TypeVar("R", bound="Reply")


class Request(Strict):
    """A body: what is not known in it is an error, and so is text that nobody can see."""


class Reply(BaseModel):
    """A reply: ``model_validate`` takes a value of the loop."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    """A page of a list; ``next`` is the cursor of the following page, null at the end."""

    items: list[T]
    next: int | None = None


def page_of(shape: type[R], found: LoopPage[Any]) -> Page[R]:
    """A page of the loop as a reply."""
    return Page(items=[shape.model_validate(item) for item in found.items], next=found.next)
