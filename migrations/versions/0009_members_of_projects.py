"""Members of projects, tokens of one project, accounts that are disabled; masks nobody asked for."""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "members",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_members_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_members_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", "account_id", name=op.f("pk_members")),
    )
    op.create_index("ix_members_account", "members", ["account_id"])
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.alter_column("role", existing_type=sa.String(length=20), nullable=True)
        batch_op.add_column(sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("password_hash", sa.String(length=200), nullable=True))
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.add_column(sa.Column("project_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_tokens_project_id_projects"), "projects", ["project_id"], ["id"]
        )
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.add_column(sa.Column("account_id", sa.Integer(), nullable=True))
        batch_op.alter_column("token_id", existing_type=sa.Integer(), nullable=True)
    op.execute(
        "UPDATE sign_ins SET account_id = "
        "(SELECT account_id FROM tokens WHERE tokens.id = sign_ins.token_id)"
    )
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.alter_column("account_id", existing_type=sa.Integer(), nullable=False)
        batch_op.create_foreign_key(
            op.f("fk_sign_ins_account_id_accounts"), "accounts", ["account_id"], ["id"]
        )
    op.add_column(
        "masks", sa.Column("unasked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # Whoever could sign in worked on every project. The service's own accounts never did.
    op.execute(
        "INSERT INTO members (project_id, account_id, role, created_at) "
        "SELECT projects.id, accounts.id, accounts.role, CURRENT_TIMESTAMP "
        "FROM projects CROSS JOIN accounts WHERE accounts.role <> 'admin' "
        "AND EXISTS (SELECT 1 FROM tokens WHERE tokens.account_id = accounts.id)"
    )
    op.execute(
        "UPDATE accounts SET role = NULL WHERE role <> 'admin' "
        "AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.account_id = accounts.id)"
    )


def downgrade() -> None:
    """Take back. Whoever was a member of anything is then an annotator of everything."""
    op.drop_column("masks", "unasked")
    # Nobody who was shut out gets in again.
    op.execute(
        "UPDATE tokens SET revoked_at = CURRENT_TIMESTAMP WHERE revoked_at IS NULL AND account_id IN "
        "(SELECT id FROM accounts WHERE disabled_at IS NOT NULL)"
    )
    op.execute("UPDATE accounts SET role = 'annotator' WHERE role IS NULL OR role = 'viewer'")
    op.execute(
        "DELETE FROM sign_ins WHERE token_id IS NULL OR token_id IN "
        "(SELECT id FROM tokens WHERE project_id IS NOT NULL)"
    )
    op.execute("DELETE FROM tokens WHERE project_id IS NOT NULL")
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_sign_ins_account_id_accounts"), type_="foreignkey")
        batch_op.drop_column("account_id")
        batch_op.alter_column("token_id", existing_type=sa.Integer(), nullable=False)
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_tokens_project_id_projects"), type_="foreignkey")
        batch_op.drop_column("project_id")
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("password_hash")
        batch_op.drop_column("disabled_at")
        batch_op.alter_column("role", existing_type=sa.String(length=20), nullable=False)
    op.drop_index("ix_members_account", table_name="members")
    op.drop_table("members")
