"""The audit trail is a chain, and knows where from; the installation has a key of its own."""

import sqlalchemy as sa
from alembic import op


revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Entries of before are sealed with the others, by the first sweep."""
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("sealed", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("digest", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("chain", sa.String(length=64), nullable=True))
        batch_op.create_index("uq_events_sealed", ["sealed"], unique=True)


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("uq_events_sealed")
        batch_op.drop_column("chain")
        batch_op.drop_column("digest")
        batch_op.drop_column("sealed")
        batch_op.drop_column("address")
    op.drop_table("installation")
