"""Ends of runs that are to be told to a webhook."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant
from app.adapters.database.tables import Json, RunId

revision = "0006_webhooks"
down_revision = "0005_metrics"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_webhooks",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "epoch", name="pk_run_webhooks"),
        sa.ForeignKeyConstraint(["run_id"], ["simulation_runs.id"], name="fk_run_webhooks_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_run_webhooks_due_at", "run_webhooks", ["due_at"])


def downgrade() -> None:
    op.drop_table("run_webhooks")
