"""Deleting finds what refers to a slice, a mask or a model without reading whole tables.

Without these, a database looks through all scores for every single slice that goes.
"""

from alembic import op


revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXED = (
    ("agreements", "other_id"),
    ("leases", "slice_id"),
    ("map_points", "slice_id"),
    ("masks", "suggestion_model_id"),
    ("query_items", "slice_id"),
    ("reviews", "mask_id"),
    ("scores", "slice_id"),
    ("slice_features", "slice_id"),
    ("suggestions", "slice_id"),
)


def upgrade() -> None:
    """Apply."""
    for table, column in _INDEXED:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    """Undo."""
    for table, column in _INDEXED:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
