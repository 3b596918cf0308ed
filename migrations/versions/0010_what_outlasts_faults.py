"""Jobs that are tried again by themselves, and trainings that go on from where they were."""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "checkpoint_parts",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_checkpoint_parts_job_id_jobs")
        ),
        sa.PrimaryKeyConstraint("job_id", "version", "number", name=op.f("pk_checkpoint_parts")),
    )
    op.add_column("jobs", sa.Column("checkpoint", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "jobs", sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    # What failed before has failed once.
    op.execute("UPDATE jobs SET failures = 1 WHERE state = 'failed'")


def downgrade() -> None:
    """Take back. What waits to be tried again is tried at once."""
    op.drop_column("jobs", "failures")
    op.drop_column("jobs", "retry_at")
    op.drop_column("jobs", "checkpoint")
    op.drop_table("checkpoint_parts")
