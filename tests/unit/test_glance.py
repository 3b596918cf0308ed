"""A reading that many share: fresh enough, taken by one, and never waited for without end."""

import threading

from app.observing.glance import Glance


def test_a_reading_is_shown_again_until_it_is_old():
    now, readings = [0.0], iter(range(10))
    glance = Glance(lambda: next(readings), seconds=10, patience=30, clock=lambda: now[0])
    assert [glance.look(), glance.look()] == [0, 0]
    now[0] = 9.9
    assert glance.look() == 0
    now[0] = 10.0
    assert [glance.look(), glance.look()] == [1, 1]


def test_what_cannot_be_read_is_none_and_is_tried_again():
    now, fails = [0.0], [True]

    def read() -> str:
        if fails[0]:
            raise ConnectionError("away")
        return "there"

    glance = Glance(read, seconds=10, patience=30, clock=lambda: now[0])
    assert glance.look() is None
    fails[0] = False
    assert glance.look() is None
    now[0] = 10.0
    assert glance.look() == "there"


def test_one_that_hangs_is_left_alone_by_all_who_come_meanwhile():
    let, begun = threading.Event(), []

    def read() -> str:
        begun.append(1)
        assert let.wait(30)
        return "late"

    glance = Glance(read, seconds=10, patience=0.01)
    assert [glance.look() for _ in range(3)] == [None] * 3
    assert len(begun) == 1
    let.set()
    patient = threading.Event()
    for _ in range(3000):
        if glance.look() == "late":
            break
        patient.wait(0.01)
    assert glance.look() == "late"
    assert len(begun) == 1
