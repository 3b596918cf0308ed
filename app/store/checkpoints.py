"""How far a training that runs has come: bytes to go on from after its worker was lost."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.store.base import Base


class CheckpointPart(Base):
    """A piece of a job's checkpoint; whole is the version that ``Job.checkpoint`` names.

    Not among the blobs: nobody else has these bytes, they are replaced while a job runs, and all
    of them go with its training.
    """

    __tablename__ = "checkpoint_parts"

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
