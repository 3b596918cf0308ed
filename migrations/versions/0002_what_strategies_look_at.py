"""What strategies look at: sums by class, predictions, thumbnails; figures of a round."""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "predictions",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("foreground_pixels", sa.Integer(), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_predictions_model_id")),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name=op.f("fk_predictions_slice_id")),
        sa.PrimaryKeyConstraint("model_id", "slice_id", name=op.f("pk_predictions")),
    )
    # What was scored before has no such sums; strategies that need them wait for the next model.
    op.add_column("scores", sa.Column("by_class", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("rounds", sa.Column("figures", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("slices", sa.Column("appearance", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("slices", "appearance")
    op.drop_column("rounds", "figures")
    op.drop_column("scores", "by_class")
    op.drop_table("predictions")
