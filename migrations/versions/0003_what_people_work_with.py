"""What people work with: browser sessions, several readers, promoted models, the pool's map."""

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LIVE = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_sign_ins_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
    )
    op.create_table(
        "agreements",
        sa.Column("mask_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.Column("dice", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["mask_id"], ["masks.id"], name=op.f("fk_agreements_mask_id")),
        sa.ForeignKeyConstraint(["other_id"], ["masks.id"], name=op.f("fk_agreements_other_id")),
        sa.PrimaryKeyConstraint("mask_id", "other_id", name=op.f("pk_agreements")),
    )
    op.create_table(
        "map_points",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_map_points_round_id")),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name=op.f("fk_map_points_slice_id")),
        sa.PrimaryKeyConstraint("round_id", "slice_id", name=op.f("pk_map_points")),
    )
    op.add_column("models", sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("leases", sa.Column("seat", sa.Integer(), nullable=False, server_default="1"))
    op.drop_index("uq_leases_live", table_name="leases")
    for name, second in (("uq_leases_live", "seat"), ("uq_leases_own", "account_id")):
        op.create_index(
            name,
            "leases",
            ["slice_id", second],
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        )


def downgrade() -> None:
    """Undo. Second readers' leases cannot be kept: they end."""
    op.execute("UPDATE leases SET ended_at = expires_at WHERE seat > 1 AND ended_at IS NULL")
    op.drop_index("uq_leases_own", table_name="leases")
    op.drop_index("uq_leases_live", table_name="leases")
    op.create_index(
        "uq_leases_live",
        "leases",
        ["slice_id"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.drop_column("leases", "seat")
    op.drop_column("models", "promoted_at")
    op.drop_table("map_points")
    op.drop_table("agreements")
    op.drop_table("sign_ins")
