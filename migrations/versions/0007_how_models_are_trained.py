"""Models that are kept but not promoted; projects keep the recipe that they were made with."""

import json

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("models", sa.Column("held_back", sa.Text(), nullable=True))
    projects = sa.table("projects", sa.column("id", sa.Integer), sa.column("training", sa.JSON))
    connection = op.get_bind()
    for id_, training in connection.execute(sa.select(projects.c.id, projects.c.training)).all():
        kept = json.loads(training) if isinstance(training, str) else training
        # Before there were recipes all were trained as the paper does.
        changed = {"recipe": "paper", **kept}
        connection.execute(sa.update(projects).where(projects.c.id == id_).values(training=changed))


def downgrade() -> None:
    """Take back."""
    op.drop_column("models", "held_back")
