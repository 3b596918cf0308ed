"""Projects are renamed and archived; what is kept for some days alone; what was handed back."""

import sqlalchemy as sa
from alembic import op


revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "projects",
        sa.Column("former_names", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column("projects", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "models", sa.Column("removed", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("rounds", sa.Column("map_removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "installation", sa.Column("retention_at", sa.DateTime(timezone=True), nullable=True)
    )
    for table in ("transfers", "deliveries"):
        column = sa.Column("handed_back", sa.Integer(), nullable=False, server_default=sa.text("0"))
        op.add_column(table, column)


def downgrade() -> None:
    """Take back. Archived projects go on."""
    op.drop_column("deliveries", "handed_back")
    op.drop_column("transfers", "handed_back")
    op.drop_column("installation", "retention_at")
    op.drop_column("rounds", "map_removed_at")
    op.drop_column("models", "removed")
    op.drop_column("projects", "archived_at")
    op.drop_column("projects", "former_names")
