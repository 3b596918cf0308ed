"""What was measured once of a machine; maps that are drawn when somebody looks at them."""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tunings",
        sa.Column("machine", sa.String(length=200), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("precision", sa.String(length=16), nullable=False),
        sa.Column("training_precision", sa.String(length=16), nullable=False),
        sa.Column("scoring_batch", sa.Integer(), nullable=False),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("machine", name=op.f("pk_tunings")),
    )
    op.add_column("rounds", sa.Column("map_begun_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rounds", sa.Column("map_error", sa.Text(), nullable=True))
    # Features of labelled slices are kept too; what a model would draw on them is not looked at.
    with op.batch_alter_table("slice_features", schema=None) as batch_op:
        batch_op.alter_column("foreground_pixels", existing_type=sa.Integer(), nullable=True)


def downgrade() -> None:
    """Take back."""
    op.execute("DELETE FROM slice_features WHERE foreground_pixels IS NULL")
    with op.batch_alter_table("slice_features", schema=None) as batch_op:
        batch_op.alter_column("foreground_pixels", existing_type=sa.Integer(), nullable=False)
    op.drop_column("rounds", "map_error")
    op.drop_column("rounds", "map_begun_at")
    op.drop_table("tunings")
