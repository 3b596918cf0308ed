"""Models that are kept but not promoted; projects keep the recipe that they were made with."""

import json

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What earlier versions had where the recipe decides now.
_PAPERS = {"learning_rate": 1e-4, "batch_size": 32, "epochs": 100}


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
    """Take back: what the older version does not know goes, what it must have is the paper's."""
    projects = sa.table("projects", sa.column("id", sa.Integer), sa.column("training", sa.JSON))
    connection = op.get_bind()
    for id_, training in connection.execute(sa.select(projects.c.id, projects.c.training)).all():
        kept = json.loads(training) if isinstance(training, str) else training
        known = {k: v for k, v in kept.items() if k not in ("recipe", "steps", "members")}
        unset = {k: v for k, v in _PAPERS.items() if known.get(k) is None}
        connection.execute(
            sa.update(projects).where(projects.c.id == id_).values(training=known | unset)
        )
    # Without the column a model that was held back would be the current one.
    op.execute(
        "UPDATE models SET promoted_at = CURRENT_TIMESTAMP WHERE id IN ("
        "SELECT MAX(id) FROM models WHERE held_back IS NULL AND project_id IN ("
        "SELECT project_id FROM models WHERE held_back IS NOT NULL AND promoted_at IS NULL) "
        "GROUP BY project_id)"
    )
    op.drop_column("models", "held_back")
