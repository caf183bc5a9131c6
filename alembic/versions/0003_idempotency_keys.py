"""Requests that were sent under an Idempotency-Key, and their answers."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant, database_now
from app.adapters.database.tables import Json, RunId

revision = "0003_idempotency_keys"
down_revision = "0002_guarantees"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("fence", RunId, nullable=False),
        sa.Column("claimed_until", Instant, nullable=False),
        sa.Column("answer", Json),
        sa.Column("created_at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
