"""What the worker's tests share."""

import pytest

from worker.steps import select as select_step


@pytest.fixture
def sees_targets(monkeypatch):
    """As if the model predicted targets: what two epochs come to hangs on the processor."""
    monkeypatch.setattr(select_step, "reason_to_explore", lambda *found: None)
