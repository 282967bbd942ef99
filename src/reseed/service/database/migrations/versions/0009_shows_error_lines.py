"""Whether submitters see what a program of theirs said last when it failed: it may quote hidden cases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.add_column(
        "phases", sa.Column("shows_error_lines", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Change them back."""
    op.drop_column("phases", "shows_error_lines")
