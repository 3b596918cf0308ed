"""Silence is told by what does not change, by the watcher's clock alone."""

from app.core.liveness import Silence


def test_what_does_not_change_for_long_enough_is_silent():
    now = [0.0]
    watch: Silence = Silence(15, clock=lambda: now[0])
    assert watch.silent({"a": 1, "b": 1}) == {}
    now[0] = 10
    assert watch.silent({"a": 1, "b": 2}) == {}
    now[0] = 16
    # However wrong the clocks are that the heartbeats were read from.
    assert watch.silent({"a": 1, "b": -7}) == {"a": 1}
    now[0] = 40
    # One that was away begins anew.
    assert watch.silent({"b": -7, "c": 0}) == {"b": -7}


def test_after_an_outage_everybody_has_time_to_be_heard():
    now = [0.0]
    watch: Silence = Silence(15, clock=lambda: now[0])
    watch.silent({"a": 1})
    now[0] = 100
    watch.forget()
    assert watch.silent({"a": 1}) == {}
    now[0] = 114
    assert watch.silent({"a": 1}) == {}
    now[0] = 115
    assert watch.silent({"a": 1}) == {"a": 1}
