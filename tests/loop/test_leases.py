"""Who gets which slice, and what becomes of those that nobody draws."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.errors import LeaseLost
from app.core.prepared import prepare_image, prepare_mask
from app.core.project_settings import ProjectSettings, QuerySettings
from app.core.splits import Split
from app.loop.access import Reader
from app.loop.leases import renew, renewal_due, skip, touch
from app.loop.masks import submit_mask
from app.loop.next_batch import next_batch
from app.loop.projects import create_project
from app.loop.slices import add_slice, ensure_case
from app.store import Job, Lease, Role, Slice, utc_now
from tests.conftest import TTL, mask, picture, pixels_of
from tests.people import named_account

NOW = utc_now()


def make_pool(database, slices=6, **query):
    """A project `p` with that many slices in one case each; returns it."""
    with database.writing() as session:
        settings = ProjectSettings(query=QuerySettings(**{"size": slices, **query}))
        project = create_project(session, "p", settings)
        for n in range(slices):
            case = ensure_case(session, project, f"c{n}", Split.POOL)
            add_slice(session, case, 0, {0: prepare_image(pixels_of(picture(seed=n)))})
    return project


def annotator(database, name):
    with database.writing() as session:
        return named_account(session, name, Role.ANNOTATOR)


def ask(database, project, account, size=1, now=NOW):
    with database.writing() as session:
        return next_batch(session, project, account, size, now, TTL)


def slices_of(batch):
    return [handed.slice.id for handed in batch.items]


def draw(database, account, slice_id, now=NOW, corner=8):
    body = mask(corner=corner)
    with database.writing() as session:
        drawn = prepare_mask(pixels_of(body), body)
        return submit_mask(session, Reader(account), slice_id, drawn, now)


def give_back(database, account, batch, reason="artefact"):
    with database.writing() as session:
        return skip(session, Reader(account), batch.items[0].lease.id, reason, NOW)


def test_two_annotators_never_hold_the_same_slice(database):
    project = make_pool(database)
    one, other = annotator(database, "one"), annotator(database, "other")
    first, second = ask(database, project, one, 4), ask(database, project, other, 4)
    assert len(slices_of(first)) == 4
    assert len(slices_of(second)) == 2
    assert not set(slices_of(first)) & set(slices_of(second))


def test_asking_at_the_same_time_hands_out_each_slice_once(database):
    project = make_pool(database, slices=12)
    crew = [annotator(database, f"a{n}") for n in range(6)]
    start = threading.Barrier(len(crew))
    got: list[int] = []

    def work(account) -> None:
        start.wait()
        for size in (1, 2):
            got.extend(slices_of(ask(database, project, account, size))[size - 1 :])

    threads = [threading.Thread(target=work, args=(account,)) for account in crew]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 12


def test_asking_again_gives_what_is_held_first(database):
    project = make_pool(database)
    one = annotator(database, "one")
    held = slices_of(ask(database, project, one, 2))
    assert slices_of(ask(database, project, one, 2)) == held
    assert slices_of(ask(database, project, one, 3))[:2] == held


def test_an_expired_lease_returns_the_slice(database):
    project = make_pool(database, slices=1)
    one, other = annotator(database, "one"), annotator(database, "other")
    batch = ask(database, project, one)
    later = NOW + TTL + timedelta(seconds=1)
    assert slices_of(ask(database, project, other, now=later)) == slices_of(batch)
    with database.writing() as session, pytest.raises(LeaseLost, match="can still be posted"):
        renew(session, Reader(one), batch.items[0].lease.id, later, TTL)


def test_activity_keeps_a_lease(database):
    project = make_pool(database, slices=1)
    one, other = annotator(database, "one"), annotator(database, "other")
    [slice_id] = slices_of(ask(database, project, one))
    half, later = NOW + TTL / 2, NOW + TTL + timedelta(minutes=1)
    with database.writing() as session:
        assert not renewal_due(session, slice_id, one, NOW, TTL)
        assert renewal_due(session, slice_id, one, half, TTL)
        touch(session, slice_id, one, half, TTL)
    assert slices_of(ask(database, project, other, now=later)) == []


def test_a_skipped_slice_goes_to_the_end_and_to_others(database):
    project = make_pool(database, slices=3)
    one, other = annotator(database, "one"), annotator(database, "other")
    batch = ask(database, project, one)
    [skipped] = slices_of(batch)
    give_back(database, one, batch)
    assert skipped not in slices_of(ask(database, project, one, 3, NOW))
    later = NOW + TTL + timedelta(seconds=1)
    assert slices_of(ask(database, project, other, 3, later))[-1] == skipped


def test_a_slice_given_back_without_a_reason_keeps_its_place(database):
    project = make_pool(database, slices=3)
    one = annotator(database, "one")
    batch = ask(database, project, one)
    give_back(database, one, batch, reason="")
    assert slices_of(ask(database, project, one)) == slices_of(batch)


def test_what_everybody_skipped_ends_the_round_and_is_set_aside(database):
    project = make_pool(database, slices=2)
    one = annotator(database, "one")
    batch = ask(database, project, one)
    [skipped] = slices_of(batch)
    assert give_back(database, one, batch) is None
    [drawn] = slices_of(ask(database, project, one))
    job = draw(database, one, drawn).job
    assert job is not None
    with database.writing() as session:
        from app.loop.rounds import close_round, open_round

        close_round(session, open_round(session, project))
        assert session.get_one(Slice, skipped).set_aside
        assert not session.get_one(Slice, drawn).set_aside


def test_an_empty_list_says_why(database):
    project = make_pool(database, slices=1)
    one, other = annotator(database, "one"), annotator(database, "other")
    batch = ask(database, project, one)
    assert "with other annotators" in ask(database, project, other).message
    give_back(database, one, batch)
    assert "you have drawn or skipped them" in ask(database, project, one).message
    draw(database, other, slices_of(ask(database, project, other))[0])
    assert "retraining" in ask(database, project, one).message


def test_an_empty_pool_says_so(database):
    project = make_pool(database, slices=0, size=3)
    batch = ask(database, project, annotator(database, "one"))
    assert (batch.round, batch.items) == (None, [])
    assert "no slices yet" in batch.message


def test_the_first_round_fills_up_as_slices_arrive(database):
    project = make_pool(database, slices=2, size=4)
    one = annotator(database, "one")
    assert len(slices_of(ask(database, project, one, 4))) == 2
    with database.writing() as session:
        for n in (7, 8, 9):
            case = ensure_case(session, project, f"c{n}", Split.POOL)
            add_slice(session, case, 0, {0: prepare_image(pixels_of(picture(seed=n)))})
    assert len(slices_of(ask(database, project, one, 9))) == 4


def test_a_quick_annotator_does_not_end_the_first_round_before_the_import_has(database):
    project = make_pool(database, slices=1, size=3)
    one = annotator(database, "one")
    [first] = slices_of(ask(database, project, one))
    with database.writing() as session:
        case = ensure_case(session, project, "next", Split.POOL)
        add_slice(session, case, 0, {0: prepare_image(pixels_of(picture(seed=9)))})
    assert draw(database, one, first).job is None
    [second] = slices_of(ask(database, project, one))
    assert draw(database, one, second).job is not None


def test_a_late_mask_is_kept_and_does_not_replace_the_label(database):
    project = make_pool(database, slices=2)
    one, other = annotator(database, "one"), annotator(database, "other")
    [slice_id] = slices_of(ask(database, project, one))
    later = NOW + TTL + timedelta(seconds=1)
    assert slices_of(ask(database, project, other, now=later)) == [slice_id]
    late = draw(database, one, slice_id, later)
    assert (late.created, late.mask.late) == (True, True)
    on_time = draw(database, other, slice_id, later, corner=3)
    assert not on_time.mask.late
    with database.reading() as session:
        from app.store import Label

        assert session.get_one(Label, slice_id).mask_id == on_time.mask.id


def test_retrain_after_starts_before_the_batch_is_whole(database):
    project = make_pool(database, slices=4, retrain_after=2)
    one = annotator(database, "one")
    jobs = [draw(database, one, s).job for s in slices_of(ask(database, project, one, 4))]
    assert [job is not None for job in jobs] == [False, True, True, True]
    with database.reading() as session:
        assert len(session.scalars(select(Job)).all()) == 1


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["ask", "skip", "draw", "wait"])), max_size=25
    )
)
def test_no_slice_is_ever_leased_twice(sqlite_template, tmp_path, steps):
    """Whatever three annotators do in whatever order."""
    import shutil
    import uuid

    from app.store import Database

    path = tmp_path / f"{uuid.uuid4().hex}.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    project = make_pool(database, slices=4)
    crew = [annotator(database, f"a{n}") for n in range(3)]
    hands: dict[int, list] = {0: [], 1: [], 2: []}
    now = NOW
    for who, what in steps:
        if what == "ask":
            hands[who] = ask(database, project, crew[who], 2, now).items
        elif what == "wait":
            now += TTL / 2
        elif hands[who]:
            handed = hands[who].pop()
            if what == "draw":
                draw(database, crew[who], handed.slice.id, now)
            else:
                with database.writing() as session, suppress(LeaseLost):
                    skip(session, Reader(crew[who]), handed.lease.id, "", now)
        with database.reading() as session:
            live = session.scalars(
                select(Lease.slice_id).where(Lease.ended_at.is_(None), Lease.expires_at > now)
            ).all()
            assert len(live) == len(set(live))
    database.dispose()
