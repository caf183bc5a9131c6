"""Worker pools: decisions about their size, what people want of it, and workers that tell of themselves."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant, database_now
from app.adapters.database.tables import Json, Serial

revision = "0004_scaling"
down_revision = "0003_idempotency_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scaling_decisions",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("pool", sa.String(63), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("wanted", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("per_worker", sa.Float, nullable=False),
        sa.Column("ready", sa.Integer),
        sa.Column("unacknowledged", sa.Integer),
        sa.Column("unpublished", sa.Integer),
        sa.Column("workers", sa.Integer),
        sa.Column("jobs_per_second", sa.Float),
        sa.Column("cpu", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_scaling_decisions"),
    )
    op.create_index("ix_scaling_decisions_pool", "scaling_decisions", ["pool", "at"])
    op.create_index("ix_scaling_decisions_at", "scaling_decisions", ["at"])
    op.create_table(
        "scaling_pins",
        sa.Column("pool", sa.String(63), nullable=False),
        sa.Column("replicas", sa.Integer, nullable=False),
        sa.Column("until", Instant, nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("pool", name="pk_scaling_pins"),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("queues", Json, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("jobs_done", sa.BigInteger, nullable=False),
        sa.Column("jobs_per_second", sa.Float, nullable=False),
        sa.Column("cpu", sa.Float, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("started_at", Instant, nullable=False, server_default=database_now()),
        sa.Column("seen_at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("scaling_pins")
    op.drop_table("scaling_decisions")
