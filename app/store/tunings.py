"""What was measured once of each kind of machine that computes."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.store.base import Base, utc_now


class Tuning(Base):
    """What `sfumato tune` chose for one kind of machine: all workers on such a machine use it.

    ``measured``: what it was chosen by, in seconds.
    """

    __tablename__ = "tunings"

    machine: Mapped[str] = mapped_column(String(200), primary_key=True)
    threads: Mapped[int]
    precision: Mapped[str] = mapped_column(String(16))
    training_precision: Mapped[str] = mapped_column(String(16))
    scoring_batch: Mapped[int]
    measured: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
