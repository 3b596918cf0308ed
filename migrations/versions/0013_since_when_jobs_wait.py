"""Since when a job waits for a worker, and a short way to the newest backup: for monitoring."""

import sqlalchemy as sa
from alembic import op


revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_IS_BACKUP = sa.text("action = 'backup.made'")


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_events_backups",
        "events",
        ["id"],
        sqlite_where=_IS_BACKUP,
        postgresql_where=_IS_BACKUP,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_events_backups", "events")
    op.drop_column("jobs", "queued_at")
