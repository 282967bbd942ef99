"""Attempts that were lost with their worker, apart from those that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    # not in batch mode: SQLite would copy the table
    op.add_column("jobs", sa.Column("lost_attempts", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Change them back."""
    op.drop_column("jobs", "lost_attempts")
