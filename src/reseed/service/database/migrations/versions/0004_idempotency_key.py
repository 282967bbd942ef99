"""The key by which a client says that two requests for a submission are one and the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    # not in batch mode: SQLite would copy the table, and take what belongs to its rows along
    op.add_column("submissions", sa.Column("idempotency_key", sa.String(length=100), nullable=True))
    op.create_index(
        "ix_submissions_idempotency_key", "submissions", ["creator_pk", "idempotency_key"], unique=True
    )


def downgrade() -> None:
    """Change them back."""
    op.drop_index("ix_submissions_idempotency_key", "submissions")
    op.drop_column("submissions", "idempotency_key")
