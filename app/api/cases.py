"""Cases: one patient or volume."""

from functools import partial
from typing import Annotated

from fastapi import BackgroundTasks, Path

from app.api.deleting import Confirm, Deletes
from app.api.dependencies import EvenArchived
from app.api.limits import Router
from app.api.schemas.deletions import DeletionOut
from app.loop.deletions import of_case

router = Router(prefix="/projects/{name}/cases", tags=["cases"])


@router.delete("/{case}")
async def delete_case(
    name: Annotated[str, Path(max_length=200)],
    case: Annotated[str, Path(max_length=200, examples=["patient-007"])],
    admin: EvenArchived,
    deletes: Deletes,
    background: BackgroundTasks,
    confirm: Confirm = None,
) -> DeletionOut:
    """Delete a case: its slices, and all that was drawn, scored and said of them.

    Without `confirm`, the case's name, nothing is deleted: the reply counts what would go. The
    audit keeps that it was deleted, what, and by whom. Models that learned from it stay.
    """
    find = partial(of_case, reader=admin, project_name=name, name=case)
    return await deletes(find, admin, confirm, background)
