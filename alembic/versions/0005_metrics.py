"""What a run came to in figures: latency by stage, its course over time, its workers; and benchmarks."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant, database_now
from app.adapters.database.tables import Json, RunId, Serial

revision = "0005_metrics"
down_revision = "0004_scaling"
branch_labels = None
depends_on = None


def _of_a_run(table: str, *rest: sa.Column[object], key: str) -> None:
    op.create_table(
        table,
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        *rest,
        sa.PrimaryKeyConstraint("run_id", "epoch", key, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["run_id"], ["simulation_runs.id"], name=f"fk_{table}_run_id", ondelete="CASCADE"),
    )


def upgrade() -> None:
    seconds = ("min", "mean", "p50", "p90", "p95", "p99", "max")
    _of_a_run(
        "run_stages",
        sa.Column("stage", sa.String(80), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Float, nullable=False) for name in seconds),
        sa.Column("histogram", sa.Text, nullable=False),
        key="stage",
    )
    counts = ("emitted", "acknowledged", "completed", "failed", "cancelled", "retried", "jobs", "instances")
    _of_a_run(
        "run_intervals",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("begins", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("queued", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("workers", sa.Integer, nullable=False),
        sa.Column("latency", Json, nullable=False),
        key="number",
    )
    _of_a_run(
        "run_workers",
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("jobs", sa.Integer, nullable=False),
        sa.Column("busy_seconds", sa.Float, nullable=False),
        sa.Column("first_at", Instant, nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        key="worker",
    )
    op.create_table(
        "benchmarks",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False, server_default=database_now()),
        sa.Column("suite", sa.String(32), nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("machine", Json, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_benchmarks"),
    )
    op.create_index("ix_benchmarks_suite", "benchmarks", ["suite", "id"])


def downgrade() -> None:
    for table in ("benchmarks", "run_workers", "run_intervals", "run_stages"):
        op.drop_table(table)
