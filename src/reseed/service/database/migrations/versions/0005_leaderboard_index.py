"""An index for what every leaderboard asks first: whether anything has changed."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_index(
        "ix_evaluations_of_a_board", "evaluations", ["phase_pk", "state", "published", "state_since"]
    )


def downgrade() -> None:
    """Change them back."""
    op.drop_index("ix_evaluations_of_a_board", "evaluations")
