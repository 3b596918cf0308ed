"""Whoever can draw no longer holds nothing, and no round waits for them."""

import pytest
from sqlalchemy import select

from app.loop.access import HERE
from app.loop.account_changes import set_disabled, set_role
from app.loop.batches import batch_state
from app.loop.members import remove_member, set_member
from app.loop.rounds import open_round
from app.store import Event, Job, Lease, Member, Project, Role
from tests.loop.test_leases import annotator, ask, draw, give_back, make_pool, slices_of

LEAVING = {
    "removed": lambda session, project: remove_member(session, project, "leaves", None),
    "viewer": lambda session, project: set_member(session, project, "leaves", Role.VIEWER, None),
    "viewer of all": lambda session, project: set_role(session, HERE, "leaves", Role.VIEWER),
    "disabled": lambda session, project: set_disabled(session, HERE, "leaves", True),
}


def leave(database, how):
    with database.writing() as session:
        LEAVING[how](session, session.scalars(select(Project)).one())


@pytest.mark.parametrize("how", LEAVING)
def test_what_they_held_goes_to_others_at_once(database, how):
    project = make_pool(database, slices=2)
    leaves, stays = annotator(database, "leaves"), annotator(database, "stays")
    held = slices_of(ask(database, project, leaves, 2))
    assert not ask(database, project, stays, 2).items
    leave(database, how)
    assert slices_of(ask(database, project, stays, 2)) == held


@pytest.mark.parametrize("how", LEAVING)
def test_a_round_that_waited_for_them_alone_goes_on(database, how):
    project = make_pool(database, slices=2)
    leaves, stays = annotator(database, "leaves"), annotator(database, "stays")
    [drawn] = slices_of(ask(database, project, leaves))
    draw(database, leaves, drawn)
    give_back(database, stays, ask(database, project, stays), "not mine to judge")
    with database.reading() as session:
        assert session.scalars(select(Job)).all() == []
    leave(database, how)
    with database.writing() as session:
        state = batch_state(session, open_round(session, session.scalars(select(Project)).one()))
        assert (state.settled, state.labelled, state.open) == (True, 1, 1)
        assert [job.kind for job in session.scalars(select(Job))] == ["retrain"]


def test_who_stays_an_annotator_keeps_what_they_hold(database):
    project = make_pool(database, slices=2)
    stays = annotator(database, "leaves")
    ask(database, project, stays, 2)
    with database.writing() as session:
        found = session.scalars(select(Project)).one()
        set_member(session, found, "leaves", Role.REVIEWER, None)
    with database.reading() as session:
        assert [lease.ended_at for lease in session.scalars(select(Lease))] == [None, None]


def test_a_role_in_every_project_is_in_each_trail(database):
    make_pool(database, slices=1)
    annotator(database, "leaves")
    leave(database, "viewer of all")
    with database.reading() as session:
        assert session.scalars(select(Member.role)).all() == [Role.VIEWER]
        told = session.scalars(select(Event).where(Event.action == "member.set").order_by(Event.id))
        assert [e.detail["role"] for e in told if e.project_id is not None][-1] == "viewer"
