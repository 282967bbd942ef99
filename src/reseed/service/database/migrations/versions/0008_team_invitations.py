"""Whom a team has asked to join: nobody is in one without having agreed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "team_invitations",
        sa.Column("team_pk", sa.Uuid(), nullable=False),
        sa.Column("user_pk", sa.Uuid(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_pk"], ["teams.pk"], name=op.f("fk_team_invitations_team_pk_teams"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_team_invitations_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_team_invitations")),
        sa.UniqueConstraint("team_pk", "user_pk", name=op.f("uq_team_invitations_team_pk_user_pk")),
    )
    op.create_index("ix_team_invitations_created", "team_invitations", ["created"])
    op.create_index("ix_team_invitations_user_pk", "team_invitations", ["user_pk"])


def downgrade() -> None:
    """Change them back."""
    op.drop_table("team_invitations")
