"""Guarantees under faults: retries, parked jobs, dead letters, destinations and a summary of each epoch."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant, database_now
from app.adapters.database.tables import Json, RunId, Serial

revision = "0002_guarantees"
down_revision = "0001"
branch_labels = None
depends_on = None

UNFINISHED = sa.text("state IN ('SENDING', 'WAITING')")
STEPS = "simulation_step_executions"


def upgrade() -> None:
    _index_unfinished_orders("run_id", "number")
    op.add_column(STEPS, sa.Column("settled_starts", sa.Integer, nullable=False, server_default="0"))
    op.add_column(STEPS, sa.Column("crashes", sa.Integer, nullable=False, server_default="0"))
    op.add_column(STEPS, sa.Column("waiting_since", Instant))
    op.add_column(STEPS, sa.Column("is_probe", sa.Boolean, nullable=False, server_default=sa.text("false")))
    _parked_jobs()
    _dead_letters()
    _destinations()
    _summaries()


def _index_unfinished_orders(*columns: str) -> None:
    name, table = "ix_simulation_orders_unfinished", "simulation_orders"
    op.drop_index(name, table)
    op.create_index(name, table, list(columns), postgresql_where=UNFINISHED, sqlite_where=UNFINISHED)


def _parked_jobs() -> None:
    op.create_table(
        "parked_jobs",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("order_number", sa.Integer, nullable=False),
        sa.Column("step_index", sa.Integer, nullable=False),
        sa.Column("waiting_for", sa.String(300), nullable=False),
        sa.Column("at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("run_id", "order_number", name="pk_parked_jobs"),
    )
    op.create_index("ix_parked_jobs_waiting", "parked_jobs", ["run_id", "waiting_for", "at", "order_number"])


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("run_id", RunId),
        sa.Column("order_number", sa.Integer),
        sa.Column("step_index", sa.Integer),
        sa.Column("step_type", sa.String(64), nullable=False, server_default=""),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("queue", sa.String(127), nullable=False),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text, nullable=False, server_default=""),
        sa.Column("worker", sa.String(128), nullable=False, server_default=""),
        sa.Column("at", Instant, nullable=False, server_default=database_now()),
        sa.Column("state", sa.String(12), nullable=False, server_default="OPEN"),
        sa.Column("settled_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_index("ix_dead_letters_state", "dead_letters", ["state", "id"])
    op.create_index("ix_dead_letters_run_id", "dead_letters", ["run_id", "id"])


def _destinations() -> None:
    op.create_table(
        "destinations",
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("state", sa.String(8), nullable=False, server_default="CLOSED"),
        sa.Column("faults", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("since", Instant, nullable=False, server_default=database_now()),
        sa.Column("next_probe_at", Instant),
        sa.Column("tokens", sa.Float, nullable=False, server_default="0"),
        sa.Column("refilled_at", Instant),
        sa.PrimaryKeyConstraint("key", name="pk_destinations"),
    )


def _summaries() -> None:
    op.create_table(
        "simulation_summaries",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("run_id", "epoch", name="pk_simulation_summaries"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["simulation_runs.id"], name="fk_simulation_summaries_run_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    for table in ("simulation_summaries", "destinations", "dead_letters", "parked_jobs"):
        op.drop_table(table)
    for column in ("is_probe", "waiting_since", "crashes", "settled_starts"):
        op.drop_column(STEPS, column)
    _index_unfinished_orders("run_id")
