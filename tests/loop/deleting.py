"""Deleting, and looking for what is left, for the tests of it."""

import numpy as np
from sqlalchemy import func, select

from app.core.prepared import prepare_mask
from app.core.splits import Split
from app.loop import deletes
from app.loop.access import Reader
from app.loop.deletions import Deletion
from app.loop.pool_maps import keep_map
from app.loop.reviews import review_mask
from app.loop.truths import add_truths
from app.store import (
    Base,
    Case,
    Label,
    Mask,
    Project,
    ReviewState,
    Role,
    Round,
    Slice,
    StoredBlob,
    utc_now,
)
from tests.loop.test_leases import annotator, ask, draw, give_back
from tests.people import named_account
from tests.worker.projects import label_batch, make_project, runner

# Columns of 64 characters that name no bytes among the blobs.
NO_BLOBS = {"blobs.sha256", "tokens.sha256", "sign_ins.sha256"}


def delete(database, find, confirm=None, admin="root") -> Deletion:
    """Plan and, unless it is only asked for, carry out."""
    with database.writing() as session:
        by = named_account(session, admin, Role.ADMIN)
    with database.reading() as session:
        planned = find(session)
    for step in deletes.steps(planned, confirm or planned.confirm, by):
        with database.writing() as session:
            step(session)
    return planned


def full_project(database) -> Project:
    """A project in which something is kept in every table that a slice can be in."""
    project = make_project(database, size=4, initial="random")
    one = annotator(database, "one")
    give_back(database, one, ask(database, project, one), reason="artefact of Anna")
    label_batch(database, project)
    with database.writing() as session:
        reviewer = named_account(session, "rev", Role.REVIEWER)
        for mask_id in session.scalars(select(Mask.id).join(Label)).all():
            review_mask(session, Reader(reviewer), mask_id, ReviewState.ACCEPTED, f"fine {mask_id}")
    first = labelled(database)[0]
    # Of a reviewer: what they draw counts without being asked for.
    with database.writing() as session:
        other = named_account(session, "other", Role.REVIEWER)
    draw(database, other, first, corner=5)
    with database.writing() as session:
        drawn = prepare_mask(np.full((32, 32), 1, np.uint8))
        add_truths(session, dict.fromkeys(session.scalars(select(Slice.id)), drawn))
    runner(database).work()
    ask(database, project, one, 2, utc_now())
    with database.writing() as session:
        # As if somebody had looked at the map.
        newest = session.scalars(select(Round.id).order_by(Round.id.desc())).first()
        keep_map(session, newest, dict.fromkeys(session.scalars(select(Slice.id)), (0.0, 1.0)))
    return project


def labelled(database) -> list[int]:
    with database.reading() as session:
        query = select(Label.slice_id).join(Slice, Slice.id == Label.slice_id)
        return list(
            session.scalars(query.where(Slice.split == Split.POOL).order_by(Label.slice_id))
        )


def case_of(database, slice_id: int) -> str:
    with database.reading() as session:
        return session.get_one(Case, session.get_one(Slice, slice_id).case_id).name


def rows_that_refer(database, table: str, ids: set[int]) -> dict[str, int]:
    """How many rows refer to these rows of a table, by the column: found in the schema."""
    found = {}
    with database.reading() as session:
        for one in Base.metadata.tables.values():
            for column in one.columns:
                if any(key.column.table.name == table for key in column.foreign_keys):
                    query = select(func.count()).select_from(one).where(column.in_(ids))
                    found[f"{one.name}.{column.name}"] = session.scalar(query)
    return found


def blobs_that_nothing_refers_to(database) -> set[str]:
    with database.reading() as session:
        names = set(session.scalars(select(StoredBlob.sha256)))
        for one in Base.metadata.tables.values():
            for column in one.columns:
                if f"{one.name}.{column.name}" not in NO_BLOBS and "sha256" in column.name:
                    names -= set(session.scalars(select(column)))
        return names
