"""When the outputs of a submission were removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.add_column("submissions", sa.Column("outputs_removed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Change them back."""
    op.drop_column("submissions", "outputs_removed_at")
