"""Which masks go out: labels, a reader's, a round's, accepted ones, all readings side by side."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session, joinedload

from app.core.errors import InvalidInput
from app.loop.readings import is_valid
from app.store import (
    Account,
    Case,
    Label,
    Mask,
    MaskSource,
    Project,
    QueryItem,
    ReviewState,
    Round,
    Slice,
)


@dataclass(frozen=True)
class Selection:
    """Which masks go out: of each slice its label, or the newest valid mask of one ``reader``.

    ``only``: none but accepted ones; ``round``: of the slices that this round asked for;
    ``all_readings``: each reader's newest valid mask too, side by side with the labels.
    """

    only: Literal["accepted"] | None = None
    round: int | None = None
    reader: str | None = None
    all_readings: bool = False


@dataclass(frozen=True)
class ChosenMask:
    """A mask that goes out: of the case's labels, or with ``reader`` as one of the readings."""

    mask: Mask
    slice: Slice
    reader: str | None


def check_selection(session: Session, project: Project, chosen: Selection) -> None:
    """Raise ``InvalidInput`` for a round or a reader that there is not."""
    if chosen.reader is not None and chosen.all_readings:
        raise InvalidInput("ask for one reader, or for all readings side by side, not for both")
    if chosen.round is not None:
        of_project = select(Round.number).where(Round.project_id == project.id)
        numbers = session.scalars(of_project.order_by(Round.number)).all()
        if chosen.round not in numbers:
            known = f"they go from {numbers[0]} to {numbers[-1]}" if numbers else "there is none"
            raise InvalidInput(f"project {project.name!r} has no round {chosen.round}: {known}")
    if chosen.reader is not None:
        names = session.scalars(
            select(Account.name)
            .where(
                Account.id.in_(
                    select(Mask.author_id)
                    .join(Slice, Slice.id == Mask.slice_id)
                    .where(Slice.project_id == project.id)
                )
            )
            .order_by(Account.name)
        ).all()
        if chosen.reader not in names:
            raise InvalidInput(
                f"nobody called {chosen.reader!r} has drawn in project {project.name!r}: "
                f"choose one of {', '.join(names) or 'nobody yet'}"
            )


def cases_to_export(session: Session, project: Project, chosen: Selection) -> list[tuple[int, str]]:
    """The ids and names of the cases that hold a chosen mask, in the order that they came in."""
    wanted = [_masks(project, chosen)]
    if chosen.all_readings:
        wanted.append(_readings(project, chosen))
    found: set[int] = set()
    for query in wanted:
        found |= set(session.scalars(query.with_only_columns(Slice.case_id).distinct()))
    rows = session.execute(
        select(Case.id, Case.name).where(Case.project_id == project.id).order_by(Case.id)
    )
    return [(case_id, name) for case_id, name in rows if case_id in found]


def masks_of_case(
    session: Session, project: Project, case_id: int, chosen: Selection
) -> list[ChosenMask]:
    """A case's labels in the order of its slices, then each reader's newest masks."""
    labels = _newest(session, _masks(project, chosen).where(Slice.case_id == case_id))
    found = [ChosenMask(mask, mask.slice, None) for mask in labels]
    if chosen.all_readings:
        own = _newest(session, _readings(project, chosen).where(Slice.case_id == case_id))
        own.sort(key=lambda mask: (mask.author.name, mask.slice.index))
        found += [ChosenMask(mask, mask.slice, mask.author.name) for mask in own]
    return found


def _masks(project: Project, chosen: Selection) -> Select[Mask]:
    """The masks that are labels, or valid ones of the chosen reader."""
    query = _of_project(project, chosen)
    if chosen.reader is None:
        on = and_(Label.mask_id == Mask.id, Label.slice_id == Slice.id)
        return query.join(Label, on)
    return query.where(_by(chosen.reader), is_valid())


def _readings(project: Project, chosen: Selection) -> Select[Mask]:
    """Valid masks of all readers; what several say together is nobody's reading."""
    query = _of_project(project, chosen)
    return query.where(Mask.source != MaskSource.CONSENSUS, is_valid())


def _of_project(project: Project, chosen: Selection) -> Select[Mask]:
    query = (
        select(Mask)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(Slice.project_id == project.id, Slice.complete.is_(True))
    )
    if chosen.only == "accepted":
        query = query.where(Mask.review_state == ReviewState.ACCEPTED)
    if chosen.round is not None:
        asked = select(QueryItem.slice_id).join(Round, Round.id == QueryItem.round_id)
        asked = asked.where(Round.project_id == project.id, Round.number == chosen.round)
        query = query.where(Slice.id.in_(asked))
    return query


def _by(reader: str) -> ColumnElement[bool]:
    return Mask.author_id.in_(select(Account.id).where(Account.name == reader))


def _newest(session: Session, query: Select[Mask]) -> list[Mask]:
    """The last of each author's masks of each slice, in the order of slices."""
    masks = session.scalars(
        query.options(joinedload(Mask.author), joinedload(Mask.slice)).order_by(
            Slice.index, Mask.author_id, Mask.revision
        )
    )
    newest = {(mask.slice_id, mask.author_id): mask for mask in masks}
    return list(newest.values())
