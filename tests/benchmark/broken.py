"""A strategy that fails, for the tests."""

from worker.acquisition.strategies import Strategy


def fail(scores, k, seed):
    raise RuntimeError("on purpose")


BROKEN = Strategy("broken", None, fail)
