"""How many ensemble members a retraining may have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.add_column("phases", sa.Column("members", sa.BigInteger(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Change them back."""
    op.drop_column("phases", "members")
