"""Webhooks: told once what happened, tried until it is over, never where they may not go."""

import json
import re
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from sqlalchemy import select

from app.core.errors import InvalidInput
from app.hooks import sending
from app.hooks.deliverer import HookDeliverer
from app.loop import claims, deliveries, hooks
from app.loop.access import HERE
from app.loop.deletions import of_project
from app.loop.deliveries import WAITS
from app.loop.retraining import retrain_if_due
from app.settings import Settings
from app.store import Delivery, DeliveryState, Hook, HookEvent, Project, Role, utc_now
from tests.loop.deleting import delete
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of
from tests.people import named_account
from tests.receiver import receiving
from tests.worker.projects import count, label_batch, make_project, runner

LOCAL = "127.0.0.0/8, ::1"
DAY = timedelta(days=1)


class Clock:
    """The database's, as if time passed."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self, session) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def project(database) -> Project:
    return make_pool(database, slices=2, size=2)


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


def deliverer(database, clock, allowed=LOCAL, lost=60.0) -> HookDeliverer:
    return HookDeliverer(database, Settings(hook_networks=allowed), clock, lost)


def make_hook(database, project, url, events=tuple(HookEvent), allowed=LOCAL) -> Hook:
    with database.writing() as session:
        admin = named_account(session, "root", Role.ADMIN)
        networks = Settings(hook_networks=allowed).allowed_networks
        return hooks.create_hook(session, project, url, events, networks, admin)


def tell(database, project, **facts) -> None:
    with database.writing() as session:
        deliveries.announce(session, project.id, HookEvent.ROUND_OPENED, **facts)


def log(database) -> list[Delivery]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def newest(database) -> Delivery:
    return log(database)[-1]


def hook_of(database) -> Hook:
    with database.reading() as session:
        return session.scalars(select(Hook)).one()


def is_genuine(secret, request) -> bool:
    """By the lines of the docs."""
    page = Path(__file__).parents[2] / "docs" / "webhooks.md"
    (lines,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(lines.strip().splitlines()) <= 10
    known: dict = {}
    exec(lines, known)  # noqa: S102
    _, headers, body = request
    return known["is_genuine"](secret, headers, body)


def test_what_happens_in_a_round_is_told_once_and_signed(database, receiver, clock):
    project = make_project(database)
    hook = make_hook(database, project, receiver.url)
    label_batch(database, project)
    runner(database).work()
    told = [one.event for one in log(database)]
    assert told == ["round.opened", "round.labelled", "model.made", "round.opened"]
    # Not with what was rolled back.
    with database.reading() as session:
        deliveries.announce(session, project.id, HookEvent.JOB_FAILED, job=1)
        session.flush()
    sender = deliverer(database, clock)
    while sender.deliver():
        pass
    bodies = [json.loads(body) for _, _, body in receiver.requests]
    assert [body["event"] for body in bodies] == told
    assert all(body["project"] == "p" for body in bodies)
    assert (bodies[1]["round"], bodies[1]["slices"], bodies[1]["labelled"]) == (1, 3, 3)
    assert (bodies[2]["number"], bodies[2]["masks"]) == (1, 3)
    assert bodies[2]["current"] == bodies[2]["model"] == bodies[3]["model"]
    assert "case" not in str(bodies)
    for request, event in zip(receiver.requests, told, strict=True):
        assert request[0] == "/hook"
        assert request[1]["Sfumato-Event"] == event
        assert is_genuine(hook.secret, request)
        path, headers, body = request
        assert not is_genuine(hook.secret, (path, headers, body + b" "))
        assert not is_genuine("another", request)
        headers.replace_header("Sfumato-Timestamp", "1700000000")
        assert not is_genuine(hook.secret, request)
    assert {one.state for one in log(database)} == {DeliveryState.DELIVERED}


def test_a_failed_job_is_told_without_its_reason_and_its_round_not_again(
    database, project, receiver
):
    make_hook(database, project, receiver.url, [HookEvent.ROUND_LABELLED, HookEvent.JOB_FAILED])
    one = annotator(database, "one")
    for slice_id in slices_of(ask(database, project, one, 2)):
        draw(database, one, slice_id)
    with database.writing() as session:
        held = claims.claim(session, claims.QUEUES, "w", utc_now())
    with database.writing() as session:
        claims.split(session, held, [{"n": 1}, {"n": 2}])
    with database.writing() as session:
        shard = claims.claim(session, claims.QUEUES, "w", utc_now())
        claims.fail(session, shard, "case Anna is broken")
    with database.writing() as session:
        assert retrain_if_due(session, project).id > held.job_id
    labelled, failed = log(database)
    assert (labelled.event, labelled.payload["labelled"]) == ("round.labelled", 2)
    assert (failed.event, failed.payload["job"]) == ("job.failed", held.job_id)
    assert "Anna" not in str(failed.payload)


def test_nobody_is_told_what_they_did_not_ask_for(database, project, receiver):
    make_hook(database, project, receiver.url, [HookEvent.JOB_FAILED])
    tell(database, project)
    assert log(database) == []


def test_it_is_tried_again_after_an_error_under_the_same_number(database, project, receiver, clock):
    make_hook(database, project, receiver.url)
    receiver.answers = [500, 302]
    tell(database, project, round=1)
    sender = deliverer(database, clock)
    assert sender.deliver() == 1
    found = newest(database)
    assert (found.state, found.status) == (DeliveryState.WAITING, 500)
    assert found.error == "the receiver answered 500"
    clock.now += WAITS[0] - timedelta(seconds=1)
    assert sender.deliver() == 0
    clock.now += timedelta(seconds=1)
    assert sender.deliver() == 1
    assert "redirects are not followed" in newest(database).error
    assert hook_of(database).failing_since is not None
    clock.now += WAITS[1]
    assert sender.deliver() == 1
    found = newest(database)
    assert (found.state, found.status, found.error) == (DeliveryState.DELIVERED, 204, None)
    assert found.finished_at == clock.now
    assert hook_of(database).failing_since is None
    assert receiver.deliveries == [str(found.id)] * 3
    assert len({body for _, _, body in receiver.requests}) == 1
    assert {path for path, _, _ in receiver.requests} == {"/hook"}


def test_it_is_tried_again_when_nobody_was_there(database, project, clock):
    with receiving(listening=False) as receiver:
        make_hook(database, project, receiver.url)
        tell(database, project)
        sender = deliverer(database, clock)
        sender.deliver()
        found = newest(database)
        assert (found.state, found.status) == (DeliveryState.WAITING, None)
        assert found.error.startswith("no connection")
        receiver.listen()
        clock.now += WAITS[0]
        sender.deliver()
        assert newest(database).state is DeliveryState.DELIVERED


def test_what_never_arrives_is_given_up_and_its_hook_disabled_with_a_note(
    database, project, receiver, clock
):
    hook = make_hook(database, project, receiver.url)
    receiver.answers = [503] * 100
    tell(database, project)
    sender = deliverer(database, clock)
    for wait in (*WAITS, None):
        assert sender.deliver() == 1
        if wait is None:
            break
        assert newest(database).state is DeliveryState.WAITING
        clock.now += wait
        if wait == WAITS[-1]:
            tell(database, project)
    first, second = log(database)
    assert (first.state, first.attempt) == (DeliveryState.GIVEN_UP, 7)
    assert (second.state, second.error) == (DeliveryState.GIVEN_UP, "the hook was disabled")
    found = hook_of(database)
    assert not found.enabled
    assert "nothing came through since 2026-11-01 00:00" in found.note
    assert "answered 503" in found.note
    # It costs nothing until somebody enables it.
    tell(database, project)
    assert len(log(database)) == 2
    with database.writing() as session:
        admin = named_account(session, "root", Role.ADMIN)
        kept = session.get_one(Hook, hook.id)
        with pytest.raises(InvalidInput, match="is disabled"):
            hooks.try_hook(session, kept, admin)
        hooks.change_hook(session, kept, None, None, True, (), admin)
    receiver.answers = []
    tell(database, project)
    assert sender.deliver() == 1
    assert newest(database).state is DeliveryState.DELIVERED
    assert hook_of(database).note is None


def test_one_that_is_given_up_ends_no_hook_that_others_came_through(
    database, project, receiver, clock
):
    def poisoned(handler) -> None:
        handler.send_response(500 if handler.headers["Sfumato-Delivery"] == first else 200)
        handler.end_headers()

    make_hook(database, project, receiver.url)
    tell(database, project)
    first = str(newest(database).id)
    receiver.behave = poisoned
    sender = deliverer(database, clock)
    for wait in (*WAITS, timedelta()):
        while sender.deliver():
            pass
        clock.now += wait
        tell(database, project)
    states = [one.state for one in log(database)]
    assert states == [DeliveryState.GIVEN_UP, *[DeliveryState.DELIVERED] * 6, "waiting"]
    assert hook_of(database).enabled


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_by_default(database, project, clock, host):
    with receiving(host) as receiver:
        with pytest.raises(InvalidInput, match="no public address"):
            make_hook(database, project, receiver.url, allowed="")
        # Also where its URL did not show it, or was allowed once.
        make_hook(database, project, receiver.url)
        tell(database, project)
        deliverer(database, clock, allowed="").deliver()
        found = newest(database)
        assert found.state is DeliveryState.WAITING
        assert "SFUMATO_HOOK_NETWORKS=" in found.error
        assert receiver.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(database, project, clock, monkeypatch):
    asked = []

    def rebinding(host, *_):
        """The first answer may be gone to, those after are another's."""
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.9"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    with receiving("ci.example") as receiver:
        make_hook(database, project, receiver.url)
        tell(database, project)
        monkeypatch.setattr(sending.socket, "getaddrinfo", rebinding)
        sender = deliverer(database, clock, allowed="127.0.0.1")
        sender.deliver()
        monkeypatch.undo()
        assert asked == [b"ci.example"]
        assert newest(database).state is DeliveryState.DELIVERED
        assert receiver.requests[0][1]["Host"] == receiver.url.split("/")[2]


def test_a_name_with_one_address_that_is_refused_is_refused(
    database, project, receiver, clock, monkeypatch
):
    def both(host, *_):
        found = ("127.0.0.1", "10.0.0.7")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in found]

    make_hook(database, project, receiver.url.replace("127.0.0.1", "ci.example"))
    tell(database, project)
    monkeypatch.setattr(sending.socket, "getaddrinfo", both)
    deliverer(database, clock).deliver()
    assert "10.0.0.7 is no public address" in newest(database).error
    assert receiver.requests == []


@pytest.mark.parametrize(("name", "arrives"), [("localhost", True), ("ci.example", False)])
def test_certificates_are_the_names(database, project, clock, name, arrives):
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(ours)
    with receiving("localhost", tls=ours) as receiver:
        make_hook(database, project, receiver.url)
        tell(database, project)
        sender = deliverer(database, clock)
        authority.configure_trust(sender._tls())
        sender.deliver()
        found = newest(database)
        assert found.state is (DeliveryState.DELIVERED if arrives else DeliveryState.WAITING)
        assert bool(receiver.requests) is arrives
        assert arrives or "ertificate" in found.error


def test_a_receiver_that_never_ends_is_left(database, project, receiver, clock, monkeypatch):
    def dripping(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.02):
            handler.wfile.write(b"X-A: b\r\n")
            handler.wfile.flush()

    def endless(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.001):
            handler.wfile.write(b"x" * 1000)

    over = threading.Event()
    make_hook(database, project, receiver.url)
    sender = deliverer(database, clock)
    try:
        # What it says is never read.
        receiver.behave = endless
        tell(database, project)
        sender.deliver()
        assert newest(database).state is DeliveryState.DELIVERED
        receiver.behave = dripping
        monkeypatch.setattr(sending, "TRY_SECONDS", 0.3)
        tell(database, project)
        sender.deliver()
        assert "no answer within 0.3 s" in newest(database).error
    finally:
        over.set()


def test_two_servers_deliver_each_once(database, project, receiver, clock):
    for _ in range(4):
        make_hook(database, project, receiver.url)
    for n in range(5):
        tell(database, project, n=n)
    servers = [deliverer(database, clock) for _ in range(2)]
    start = threading.Barrier(len(servers))

    def work(server) -> None:
        start.wait()
        for _ in range(20):
            server.deliver()

    threads = [threading.Thread(target=work, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receiver.deliveries, key=int) == [str(one.id) for one in log(database)]
    assert {one.state for one in log(database)} == {DeliveryState.DELIVERED}
    assert len(receiver.deliveries) == 20


def test_what_a_dead_server_was_sending_is_tried_again(database, project, receiver, clock):
    make_hook(database, project, receiver.url)
    tell(database, project)
    with database.writing() as session:
        dead = deliveries.claim(session, newest(database).id)
    # Nobody has been quiet for long enough yet.
    assert deliverer(database, clock).deliver() == 0
    assert newest(database).state is DeliveryState.SENDING
    other = deliverer(database, clock, lost=0.0)
    other.deliver()
    assert "the server that sent it ended" in newest(database).error
    with database.writing() as session:
        deliveries.end(session, dead, clock.now, 200, None)
    assert newest(database).state is DeliveryState.WAITING
    clock.now += WAITS[0]
    assert other.deliver() == 1
    assert newest(database).state is DeliveryState.DELIVERED


def test_a_server_that_ends_puts_back_what_it_was_sending(database, project, receiver, clock):
    over = threading.Event()
    receiver.behave = lambda handler: over.wait(30)
    make_hook(database, project, receiver.url)
    tell(database, project)
    server = deliverer(database, clock)
    server.start()
    try:
        assert receiver.came.wait(30)
        server.stop()
        assert newest(database).state is DeliveryState.WAITING
        assert newest(database).due_at is None
    finally:
        over.set()
    # It was no try: after the first that fails comes the first pause.
    with database.writing() as session:
        held = deliveries.claim(session, newest(database).id)
        assert held is not None
        deliveries.end(session, held, clock.now, None, "no answer")
    assert newest(database).due_at == clock.now + WAITS[0]


def test_the_log_is_kept_for_some_days(database, project, receiver, clock):
    make_hook(database, project, receiver.url)
    clock.now = utc_now()
    tell(database, project)
    deliverer(database, clock).deliver()
    with database.writing() as session:
        assert deliveries.old_ones(session, clock.now - DAY) == []
        old = deliveries.old_ones(session, clock.now + DAY)
        assert len(old) == 1
        deliveries.forget(session, old)
    assert log(database) == []


def test_with_a_project_its_hooks_go(database, project, receiver):
    make_hook(database, project, receiver.url)
    tell(database, project)
    gone = delete(database, lambda session: of_project(session, HERE, "p"))
    assert (gone.counts["hooks"], gone.counts["deliveries"]) == (1, 1)
    assert (count(database, Hook), count(database, Delivery)) == (0, 0)


def test_the_databases_clock_is_read_on_both_engines(database, project, receiver):
    make_hook(database, project, receiver.url)
    receiver.answers = [500]
    tell(database, project)
    sender = HookDeliverer(database, Settings(hook_networks=LOCAL))
    before = utc_now().replace(microsecond=0)
    assert sender.deliver() == 1
    assert before <= newest(database).due_at - WAITS[0] <= utc_now()
