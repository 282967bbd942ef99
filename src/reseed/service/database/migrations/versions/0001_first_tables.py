"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "challenges",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("join_policy", sa.String(length=24), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_challenges")),
        sa.UniqueConstraint("slug", name=op.f("uq_challenges_slug")),
    )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_challenges_created"), ["created"], unique=False)

    op.create_table(
        "rate_windows",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("started", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "started", name=op.f("pk_rate_windows")),
    )
    op.create_table(
        "users",
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_administrator", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_created"), ["created"], unique=False)

    op.create_table(
        "algorithms",
        sa.Column("owner_pk", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_pk"], ["users.pk"], name=op.f("fk_algorithms_owner_pk_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_algorithms")),
        sa.UniqueConstraint("slug", name=op.f("uq_algorithms_slug")),
    )
    with op.batch_alter_table("algorithms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_algorithms_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithms_owner_pk"), ["owner_pk"], unique=False)

    op.create_table(
        "events",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_pk", sa.Uuid(), nullable=True),
        sa.Column("noun", sa.String(length=32), nullable=False),
        sa.Column("noun_pk", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=24), nullable=True),
        sa.Column("after", sa.String(length=24), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["actor_pk"], ["users.pk"], name=op.f("fk_events_actor_pk_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_actor_pk"), ["actor_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_at"), ["at"], unique=False)
        batch_op.create_index("ix_events_noun", ["noun", "noun_pk"], unique=False)

    op.create_table(
        "login_sessions",
        sa.Column("user_pk", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_login_sessions_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_login_sessions")),
    )
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_sessions_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_sessions_user_pk"), ["user_pk"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("challenge_pk", sa.Uuid(), nullable=False),
        sa.Column("user_pk", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_pk"],
            ["challenges.pk"],
            name=op.f("fk_memberships_challenge_pk_challenges"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_memberships_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_memberships")),
        sa.UniqueConstraint("challenge_pk", "user_pk", name=op.f("uq_memberships_challenge_pk_user_pk")),
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memberships_challenge_pk"), ["challenge_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_memberships_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_memberships_user_pk"), ["user_pk"], unique=False)

    op.create_table(
        "phases",
        sa.Column("challenge_pk", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("task_name", sa.String(length=64), nullable=False),
        sa.Column("task_text", sa.Text(), nullable=False),
        sa.Column("cases_folder", sa.Text(), nullable=False),
        sa.Column("reference_folder", sa.Text(), nullable=False),
        sa.Column("training_folder", sa.Text(), nullable=True),
        sa.Column("evaluation_image", sa.Text(), nullable=True),
        sa.Column("is_external", sa.Boolean(), nullable=False),
        sa.Column("submission_kind", sa.String(length=24), nullable=False),
        sa.Column("n_runs", sa.BigInteger(), nullable=False),
        sa.Column("submissions_per_day", sa.BigInteger(), nullable=False),
        sa.Column("submissions_in_total", sa.BigInteger(), nullable=True),
        sa.Column("case_timeout_s", sa.BigInteger(), nullable=False),
        sa.Column("training_timeout_s", sa.BigInteger(), nullable=False),
        sa.Column("evaluation_timeout_s", sa.BigInteger(), nullable=False),
        sa.Column("cpus", sa.BigInteger(), nullable=False),
        sa.Column("memory_gib", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.BigInteger(), nullable=False),
        sa.Column(
            "hyperparameters", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("allows_csv", sa.Boolean(), nullable=False),
        sa.Column("shows_trial_log", sa.Boolean(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_pk"],
            ["challenges.pk"],
            name=op.f("fk_phases_challenge_pk_challenges"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_phases")),
        sa.UniqueConstraint("challenge_pk", "slug", name=op.f("uq_phases_challenge_pk_slug")),
    )
    with op.batch_alter_table("phases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_phases_challenge_pk"), ["challenge_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_phases_created"), ["created"], unique=False)

    op.create_table(
        "teams",
        sa.Column("challenge_pk", sa.Uuid(), nullable=False),
        sa.Column("owner_pk", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("website", sa.Text(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_pk"],
            ["challenges.pk"],
            name=op.f("fk_teams_challenge_pk_challenges"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["owner_pk"], ["users.pk"], name=op.f("fk_teams_owner_pk_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_teams")),
        sa.UniqueConstraint("challenge_pk", "name", name=op.f("uq_teams_challenge_pk_name")),
    )
    with op.batch_alter_table("teams", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_teams_challenge_pk"), ["challenge_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_teams_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_teams_owner_pk"), ["owner_pk"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("user_pk", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=8), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_tokens_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_tokens_user_pk"), ["user_pk"], unique=False)

    op.create_table(
        "uploads",
        sa.Column("creator_pk", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_pk"], ["users.pk"], name=op.f("fk_uploads_creator_pk_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_uploads")),
    )
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_uploads_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_uploads_creator_pk"), ["creator_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_uploads_deadline"), ["deadline"], unique=False)

    op.create_table(
        "algorithm_images",
        sa.Column("algorithm_pk", sa.Uuid(), nullable=False),
        sa.Column("creator_pk", sa.Uuid(), nullable=False),
        sa.Column("upload_pk", sa.Uuid(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("digest", sa.String(length=71), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("labels", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("has_training", sa.Boolean(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["algorithm_pk"],
            ["algorithms.pk"],
            name=op.f("fk_algorithm_images_algorithm_pk_algorithms"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["creator_pk"],
            ["users.pk"],
            name=op.f("fk_algorithm_images_creator_pk_users"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["upload_pk"],
            ["uploads.pk"],
            name=op.f("fk_algorithm_images_upload_pk_uploads"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_algorithm_images")),
        sa.UniqueConstraint("algorithm_pk", "digest", name=op.f("uq_algorithm_images_algorithm_pk_digest")),
    )
    with op.batch_alter_table("algorithm_images", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_algorithm_images_algorithm_pk"), ["algorithm_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_images_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_images_creator_pk"), ["creator_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_images_deadline"), ["deadline"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_images_upload_pk"), ["upload_pk"], unique=False)

    op.create_table(
        "algorithm_models",
        sa.Column("algorithm_pk", sa.Uuid(), nullable=False),
        sa.Column("creator_pk", sa.Uuid(), nullable=False),
        sa.Column("upload_pk", sa.Uuid(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["algorithm_pk"],
            ["algorithms.pk"],
            name=op.f("fk_algorithm_models_algorithm_pk_algorithms"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["creator_pk"],
            ["users.pk"],
            name=op.f("fk_algorithm_models_creator_pk_users"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["upload_pk"],
            ["uploads.pk"],
            name=op.f("fk_algorithm_models_upload_pk_uploads"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_algorithm_models")),
        sa.UniqueConstraint("algorithm_pk", "sha256", name=op.f("uq_algorithm_models_algorithm_pk_sha256")),
    )
    with op.batch_alter_table("algorithm_models", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_algorithm_models_algorithm_pk"), ["algorithm_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_models_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_models_creator_pk"), ["creator_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_models_deadline"), ["deadline"], unique=False)
        batch_op.create_index(batch_op.f("ix_algorithm_models_upload_pk"), ["upload_pk"], unique=False)

    op.create_table(
        "team_members",
        sa.Column("team_pk", sa.Uuid(), nullable=False),
        sa.Column("challenge_pk", sa.Uuid(), nullable=False),
        sa.Column("user_pk", sa.Uuid(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_pk"],
            ["challenges.pk"],
            name=op.f("fk_team_members_challenge_pk_challenges"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_pk"], ["teams.pk"], name=op.f("fk_team_members_team_pk_teams"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_team_members_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_team_members")),
        sa.UniqueConstraint("challenge_pk", "user_pk", name=op.f("uq_team_members_challenge_pk_user_pk")),
    )
    with op.batch_alter_table("team_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_team_members_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_team_members_team_pk"), ["team_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_team_members_user_pk"), ["user_pk"], unique=False)

    op.create_table(
        "submissions",
        sa.Column("phase_pk", sa.Uuid(), nullable=False),
        sa.Column("creator_pk", sa.Uuid(), nullable=False),
        sa.Column("team_pk", sa.Uuid(), nullable=True),
        sa.Column("algorithm_image_pk", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("n_runs", sa.BigInteger(), nullable=False),
        sa.Column("entropy", sa.BigInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("publication_url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("cancel_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["algorithm_image_pk"],
            ["algorithm_images.pk"],
            name=op.f("fk_submissions_algorithm_image_pk_algorithm_images"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["creator_pk"], ["users.pk"], name=op.f("fk_submissions_creator_pk_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["phase_pk"], ["phases.pk"], name=op.f("fk_submissions_phase_pk_phases"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["team_pk"], ["teams.pk"], name=op.f("fk_submissions_team_pk_teams"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_submissions")),
    )
    with op.batch_alter_table("submissions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_submissions_algorithm_image_pk"), ["algorithm_image_pk"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_submissions_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_submissions_creator_pk"), ["creator_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_submissions_deadline"), ["deadline"], unique=False)
        batch_op.create_index("ix_submissions_phase_state", ["phase_pk", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_submissions_team_pk"), ["team_pk"], unique=False)

    op.create_table(
        "runs",
        sa.Column("submission_pk", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("algorithm_model_pk", sa.Uuid(), nullable=True),
        sa.Column("seeds", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("record", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["algorithm_model_pk"],
            ["algorithm_models.pk"],
            name=op.f("fk_runs_algorithm_model_pk_algorithm_models"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["submission_pk"],
            ["submissions.pk"],
            name=op.f("fk_runs_submission_pk_submissions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_runs")),
        sa.UniqueConstraint("submission_pk", "number", name=op.f("uq_runs_submission_pk_number")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_runs_algorithm_model_pk"), ["algorithm_model_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_deadline"), ["deadline"], unique=False)

    op.create_table(
        "evaluations",
        sa.Column("run_pk", sa.Uuid(), nullable=False),
        sa.Column("phase_pk", sa.Uuid(), nullable=False),
        sa.Column("submission_pk", sa.Uuid(), nullable=False),
        sa.Column("is_external", sa.Boolean(), nullable=False),
        sa.Column("claimed_by_pk", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("aggregates", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("metrics", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["claimed_by_pk"],
            ["users.pk"],
            name=op.f("fk_evaluations_claimed_by_pk_users"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["phase_pk"], ["phases.pk"], name=op.f("fk_evaluations_phase_pk_phases"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.pk"], name=op.f("fk_evaluations_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["submission_pk"],
            ["submissions.pk"],
            name=op.f("fk_evaluations_submission_pk_submissions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("run_pk", "phase_pk", name=op.f("uq_evaluations_run_pk_phase_pk")),
    )
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluations_claimed_by_pk"), ["claimed_by_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_deadline"), ["deadline"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_phase_pk"), ["phase_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_submission_pk"), ["submission_pk"], unique=False)

    op.create_table(
        "run_cases",
        sa.Column("run_pk", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_trial", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("last_error_line", sa.Text(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.pk"], name=op.f("fk_run_cases_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_run_cases")),
        sa.UniqueConstraint("run_pk", "name", name=op.f("uq_run_cases_run_pk_name")),
    )
    with op.batch_alter_table("run_cases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_cases_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_run_cases_deadline"), ["deadline"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("submission_pk", sa.Uuid(), nullable=True),
        sa.Column("run_pk", sa.Uuid(), nullable=True),
        sa.Column("evaluation_pk", sa.Uuid(), nullable=True),
        sa.Column("algorithm_image_pk", sa.Uuid(), nullable=True),
        sa.Column("algorithm_model_pk", sa.Uuid(), nullable=True),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("pk", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["algorithm_image_pk"],
            ["algorithm_images.pk"],
            name=op.f("fk_jobs_algorithm_image_pk_algorithm_images"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["algorithm_model_pk"],
            ["algorithm_models.pk"],
            name=op.f("fk_jobs_algorithm_model_pk_algorithm_models"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_pk"],
            ["evaluations.pk"],
            name=op.f("fk_jobs_evaluation_pk_evaluations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.pk"], name=op.f("fk_jobs_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["submission_pk"],
            ["submissions.pk"],
            name=op.f("fk_jobs_submission_pk_submissions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_algorithm_image_pk"), ["algorithm_image_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_algorithm_model_pk"), ["algorithm_model_pk"], unique=False)
        batch_op.create_index("ix_jobs_claim", ["state", "priority", "available_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_deadline"), ["deadline"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_evaluation_pk"), ["evaluation_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_lease_until"), ["lease_until"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_run_pk"), ["run_pk"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_submission_pk"), ["submission_pk"], unique=False)


def downgrade() -> None:
    """Change them back."""
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_submission_pk"))
        batch_op.drop_index(batch_op.f("ix_jobs_run_pk"))
        batch_op.drop_index(batch_op.f("ix_jobs_lease_until"))
        batch_op.drop_index(batch_op.f("ix_jobs_evaluation_pk"))
        batch_op.drop_index(batch_op.f("ix_jobs_deadline"))
        batch_op.drop_index(batch_op.f("ix_jobs_created"))
        batch_op.drop_index("ix_jobs_claim")
        batch_op.drop_index(batch_op.f("ix_jobs_algorithm_model_pk"))
        batch_op.drop_index(batch_op.f("ix_jobs_algorithm_image_pk"))

    op.drop_table("jobs")
    with op.batch_alter_table("run_cases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_cases_deadline"))
        batch_op.drop_index(batch_op.f("ix_run_cases_created"))

    op.drop_table("run_cases")
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluations_submission_pk"))
        batch_op.drop_index(batch_op.f("ix_evaluations_phase_pk"))
        batch_op.drop_index(batch_op.f("ix_evaluations_deadline"))
        batch_op.drop_index(batch_op.f("ix_evaluations_created"))
        batch_op.drop_index(batch_op.f("ix_evaluations_claimed_by_pk"))

    op.drop_table("evaluations")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_deadline"))
        batch_op.drop_index(batch_op.f("ix_runs_created"))
        batch_op.drop_index(batch_op.f("ix_runs_algorithm_model_pk"))

    op.drop_table("runs")
    with op.batch_alter_table("submissions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_submissions_team_pk"))
        batch_op.drop_index("ix_submissions_phase_state")
        batch_op.drop_index(batch_op.f("ix_submissions_deadline"))
        batch_op.drop_index(batch_op.f("ix_submissions_creator_pk"))
        batch_op.drop_index(batch_op.f("ix_submissions_created"))
        batch_op.drop_index(batch_op.f("ix_submissions_algorithm_image_pk"))

    op.drop_table("submissions")
    with op.batch_alter_table("team_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_team_members_user_pk"))
        batch_op.drop_index(batch_op.f("ix_team_members_team_pk"))
        batch_op.drop_index(batch_op.f("ix_team_members_created"))

    op.drop_table("team_members")
    with op.batch_alter_table("algorithm_models", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_algorithm_models_upload_pk"))
        batch_op.drop_index(batch_op.f("ix_algorithm_models_deadline"))
        batch_op.drop_index(batch_op.f("ix_algorithm_models_creator_pk"))
        batch_op.drop_index(batch_op.f("ix_algorithm_models_created"))
        batch_op.drop_index(batch_op.f("ix_algorithm_models_algorithm_pk"))

    op.drop_table("algorithm_models")
    with op.batch_alter_table("algorithm_images", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_algorithm_images_upload_pk"))
        batch_op.drop_index(batch_op.f("ix_algorithm_images_deadline"))
        batch_op.drop_index(batch_op.f("ix_algorithm_images_creator_pk"))
        batch_op.drop_index(batch_op.f("ix_algorithm_images_created"))
        batch_op.drop_index(batch_op.f("ix_algorithm_images_algorithm_pk"))

    op.drop_table("algorithm_images")
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_uploads_deadline"))
        batch_op.drop_index(batch_op.f("ix_uploads_creator_pk"))
        batch_op.drop_index(batch_op.f("ix_uploads_created"))

    op.drop_table("uploads")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_user_pk"))
        batch_op.drop_index(batch_op.f("ix_tokens_created"))

    op.drop_table("tokens")
    with op.batch_alter_table("teams", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_teams_owner_pk"))
        batch_op.drop_index(batch_op.f("ix_teams_created"))
        batch_op.drop_index(batch_op.f("ix_teams_challenge_pk"))

    op.drop_table("teams")
    with op.batch_alter_table("phases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_phases_created"))
        batch_op.drop_index(batch_op.f("ix_phases_challenge_pk"))

    op.drop_table("phases")
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_user_pk"))
        batch_op.drop_index(batch_op.f("ix_memberships_created"))
        batch_op.drop_index(batch_op.f("ix_memberships_challenge_pk"))

    op.drop_table("memberships")
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_sessions_user_pk"))
        batch_op.drop_index(batch_op.f("ix_login_sessions_expires_at"))
        batch_op.drop_index(batch_op.f("ix_login_sessions_created"))

    op.drop_table("login_sessions")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("ix_events_noun")
        batch_op.drop_index(batch_op.f("ix_events_at"))
        batch_op.drop_index(batch_op.f("ix_events_actor_pk"))

    op.drop_table("events")
    with op.batch_alter_table("algorithms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_algorithms_owner_pk"))
        batch_op.drop_index(batch_op.f("ix_algorithms_created"))

    op.drop_table("algorithms")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_users_created"))

    op.drop_table("users")
    op.drop_table("rate_windows")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_challenges_created"))

    op.drop_table("challenges")
