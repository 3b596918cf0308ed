"""Where the audit's chain ends is kept beside it, so that its end cannot be cut off unseen."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "installation",
        sa.Column("audit_sealed", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("installation", sa.Column("audit_chain", sa.String(64), nullable=True))
    op.execute(
        "UPDATE installation SET audit_sealed = coalesce((SELECT max(sealed) FROM events), 0)"
    )
    op.execute(
        "UPDATE installation SET audit_chain = "
        "(SELECT chain FROM events WHERE sealed = installation.audit_sealed)"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("installation", "audit_chain")
    op.drop_column("installation", "audit_sealed")
