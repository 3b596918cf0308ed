"""Single masks, and what reviewers say of them."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request, Response

from app.api.dependencies import CurrentDatabase, Looks, Reading, SignedIn, Workers, Writing
from app.api.images import PNG_RESPONSES, Id, IfNoneMatch, png_response
from app.api.limits import Router
from app.api.schemas.masks import MaskOut, ReviewIn
from app.api.uploads import in_turn
from app.core.derived import Answers
from app.loop.foreseen import before_review
from app.loop.masks import find_mask
from app.loop.readings import use_answers
from app.loop.reviews import review_mask
from app.seen import SLICES
from app.store import ReviewState, Role, blobs

router = Router(prefix="/masks", tags=["masks"])


@router.get("/{mask_id}")
def show(mask_id: Id, session: Reading, viewer: SignedIn) -> MaskOut:
    """One mask: whose it is, when it came, and what reviewers said."""
    return MaskOut.of(find_mask(session, viewer, mask_id, Role.VIEWER))


@router.get("/{mask_id}/image", response_class=Response, responses=PNG_RESPONSES)
def image(
    mask_id: Id, session: Reading, viewer: SignedIn, looks: Looks, if_none_match: IfNoneMatch = None
) -> Response:
    """The mask's class indices as PNG."""
    mask = find_mask(session, viewer, mask_id, Role.VIEWER)
    looks.note(SLICES, viewer, mask.slice_id)
    return png_response(blobs.get(session, mask.sha256), mask.sha256, if_none_match)


@dataclass(frozen=True)
class _Verdict:
    """What a reviewer says, and what follows from it."""

    said: ReviewIn
    answers: Answers


async def _verdict(
    mask_id: Id, body: ReviewIn, reviewer: SignedIn, database: CurrentDatabase, request: Request
) -> _Verdict:
    verdict = ReviewState(body.verdict)
    foreseen = partial(before_review, database, reviewer, mask_id, verdict)
    return _Verdict(body, await in_turn(request, foreseen))


@router.post("/{mask_id}/review")
def review(
    mask_id: Id,
    verdict: Annotated[_Verdict, Depends(_verdict)],
    session: Writing,
    reviewer: SignedIn,
    workers: Workers,
    background: BackgroundTasks,
) -> MaskOut:
    """Accept a mask, or reject it with a comment; a rejected mask never trains."""
    use_answers(session, verdict.answers)
    said = verdict.said
    kept = review_mask(session, reviewer, mask_id, ReviewState(said.verdict), said.comment)
    if kept.job is not None:
        background.add_task(workers.wake, [kept.job.queue])
    return MaskOut.of(kept.mask)
