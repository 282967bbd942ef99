"""The trial case of a phase."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.add_column("phases", sa.Column("trial_case", sa.String(length=128), nullable=True))


def downgrade() -> None:
    """Change them back."""
    op.drop_column("phases", "trial_case")
