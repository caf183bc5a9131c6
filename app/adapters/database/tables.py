"""The tables. The root ``alembic/`` makes them; a test holds the migrations against this metadata.

Every moment is database time in UTC. Hot-path rows are written by Core statements in groups, never as ORM objects.

The hot tables (orders, step executions, events, outbox) have a run_id without a foreign key: PostgreSQL would lock the
run's one row for each row that is written, which costs a sixth of the server's time and makes all of a run's workers
meet there. ``SqlRuns.remove`` deletes their rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from app.adapters.database.clock import Instant, database_now


class current_transaction(FunctionElement[int]):  # noqa: N801 - reads as SQL
    """The writing transaction's id, which orders events on PostgreSQL; SQLite has one writer and needs none."""

    type = BigInteger()
    inherit_cache = True


@compiles(current_transaction, "postgresql")
def _postgresql_transaction(element: Any, compiler: Any, **kw: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


@compiles(current_transaction, "sqlite")
def _sqlite_transaction(element: Any, compiler: Any, **kw: Any) -> str:
    return "0"


# Plain json on PostgreSQL too: documents are never searched by SQL, and jsonb costs a third more to insert an event.
Json = JSON()
RunId = Uuid(as_uuid=False).with_variant(String(36), "sqlite")
# SQLite numbers only INTEGER primary keys by itself.
Serial = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

templates = Table(
    "simulation_templates",
    metadata,
    Column("id", RunId, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("shipped", Boolean, nullable=False),
    Column("document", Json, nullable=False),  # everything but the steps
    Column("created_at", Instant, nullable=False, server_default=database_now()),
    Column("updated_at", Instant, nullable=False, server_default=database_now()),
)

template_steps = Table(
    "simulation_steps",
    metadata,
    Column("template_id", RunId, ForeignKey(templates.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("mode", String(8)),
    Column("queue_async", Boolean),
    Column("queue", String(127)),
    Column("job_type", String(64)),
    Column("queue_metadata", Json, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("retry", Json, nullable=False),
    Column("timeout", Float, nullable=False),
)

run_transitions = Table(
    "simulation_run_transitions",
    metadata,
    Column("state", String(24), primary_key=True),
    Column("following", String(24), primary_key=True),
)

runs = Table(
    "simulation_runs",
    metadata,
    Column("id", RunId, primary_key=True),
    Column("run_key", String(8), nullable=False, unique=True),
    Column("template_id", RunId),
    Column("template_name", String(64), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("document", Json, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("base_time", String(32), nullable=False),  # naive local time of the simulated department, ISO 8601
    Column("requested", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("labels", Json, nullable=False),
    Column("verdict", String(16)),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False, server_default=database_now()),
    Column("started_at", Instant),
    Column("emitted_at", Instant),
    Column("finished_at", Instant),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("lease_fence", RunId),
    Column("lease_until", Instant),
    Column("summary", Json),
    Index("ix_simulation_runs_created_at", "created_at", "id"),
)

orders = Table(
    "simulation_orders",
    metadata,
    Column("run_id", RunId, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(12), nullable=False),
    Column("accession", String(16), nullable=False),
    Column("control_id", String(20), nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("patient_name", Text, nullable=False),  # DICOM PN form
    Column("birth_date", String(8), nullable=False),
    Column("sex", String(1), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("instances", Integer, nullable=False),
    Column("begun_at", Instant, nullable=False, server_default=database_now()),
    Column("acknowledged_at", Instant),
    Column("finished_at", Instant),
    Column("ack_code", String(2), nullable=False, server_default=""),
    Column("acknowledgement", Text, nullable=False, server_default=""),
    Column("possibly_duplicated", Boolean, nullable=False, server_default=text("false")),
    Column("instances_stored", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Index(
        "ix_simulation_orders_unfinished",
        "run_id",
        "number",
        postgresql_where=text("state IN ('SENDING', 'WAITING')"),
        sqlite_where=text("state IN ('SENDING', 'WAITING')"),
    ),
)

step_executions = Table(
    "simulation_step_executions",
    metadata,
    Column("run_id", RunId, primary_key=True),
    Column("order_number", Integer, primary_key=True),
    Column("step_index", Integer, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("starts", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("fence", RunId),
    Column("lease_until", Instant),
    Column("worker", String(128)),
    Column("ready_at", Instant),
    Column("finished_at", Instant),
    Column("error", Text, nullable=False, server_default=""),
    Column("settled_starts", Integer, nullable=False, server_default="0"),  # of the starts, those heard of
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("waiting_since", Instant),  # the first transport fault after the last verdict
    Column("is_probe", Boolean, nullable=False, server_default=text("false")),
    # Room for each row's claim and finish on its own page: such an update writes no index entry.
    postgresql_with={"fillfactor": 50},
)

TERMINAL_STEP = "kind IN ('step.succeeded', 'step.failed', 'step.cancelled')"
TERMINAL_ORDER = "kind IN ('order.completed', 'order.failed', 'order.cancelled')"

events = Table(
    "simulation_run_events",
    metadata,
    # The key of SQLite, whose rows lie by it. PostgreSQL has a sequence and no such index: the feed's is enough.
    Column("id", Serial, primary_key=True, autoincrement=True),
    # Rows become visible out of id order on PostgreSQL: (xid, id) is the order in which readers may see them.
    Column("xid", BigInteger, nullable=False, server_default=current_transaction()),
    Column("run_id", RunId, nullable=False),
    Column("order_number", Integer),
    Column("step_index", Integer),
    Column("kind", String(32), nullable=False),
    Column("starts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", Instant, nullable=False, server_default=database_now()),
    Column("data", Json, nullable=False),
    Index("ix_simulation_run_events_feed", "run_id", "xid", "id"),
    Index(
        "uq_simulation_run_events_key",
        "run_id",
        "order_number",
        "step_index",
        "kind",
        "starts",
        unique=True,
    ),
    Index(
        "uq_simulation_run_events_terminal_step",
        "run_id",
        "order_number",
        "step_index",
        "epoch",
        unique=True,
        postgresql_where=text(TERMINAL_STEP),
        sqlite_where=text(TERMINAL_STEP),
    ),
    Index(
        "uq_simulation_run_events_terminal_order",
        "run_id",
        "order_number",
        "epoch",
        unique=True,
        postgresql_where=text(TERMINAL_ORDER),
        sqlite_where=text(TERMINAL_ORDER),
    ),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", RunId, nullable=False),
    Column("order_number", Integer, nullable=False),
    Column("step_index", Integer, nullable=False),
    Column("starts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("queue", String(127), nullable=False),
    Column("due_at", Instant, nullable=False, server_default=database_now()),
    Index("ix_outbox_due", "run_id", "due_at", "id"),
)

parked_jobs = Table(
    # Apart from their steps' rows: an index there would cost every claim and finish an index entry.
    "parked_jobs",
    metadata,
    Column("run_id", RunId, primary_key=True),
    Column("order_number", Integer, primary_key=True),
    Column("step_index", Integer, nullable=False),
    Column("waiting_for", String(300), nullable=False),
    Column("at", Instant, nullable=False, server_default=database_now()),
    Index("ix_parked_jobs_waiting", "run_id", "waiting_for", "at", "order_number"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", RunId),
    Column("order_number", Integer),
    Column("step_index", Integer),
    Column("step_type", String(64), nullable=False, server_default=""),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("queue", String(127), nullable=False),
    Column("job_id", String(128), nullable=False),
    Column("body", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("traceback", Text, nullable=False, server_default=""),
    Column("worker", String(128), nullable=False, server_default=""),
    Column("at", Instant, nullable=False, server_default=database_now()),
    Column("state", String(12), nullable=False, server_default="OPEN"),
    Column("settled_at", Instant),
    Index("ix_dead_letters_state", "state", "id"),
    Index("ix_dead_letters_run_id", "run_id", "id"),
)

destinations = Table(
    "destinations",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("state", String(8), nullable=False, server_default="CLOSED"),
    Column("faults", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False, server_default=database_now()),
    Column("next_probe_at", Instant),
    Column("tokens", Float, nullable=False, server_default="0"),
    Column("refilled_at", Instant),
)

summaries = Table(
    "simulation_summaries",
    metadata,
    Column("run_id", RunId, ForeignKey(runs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("summary", Json, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("at", Instant, nullable=False, server_default=database_now()),
)

findings = Table(
    "simulation_findings",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", RunId, ForeignKey(runs.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("order_number", Integer),
    Column("accession", Text, nullable=False),  # what a peer said, of any length
    Column("kind", String(16), nullable=False),
    Column("source", String(8), nullable=False),
    Column("detail", Text, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("fence", RunId, nullable=False),
    Column("claimed_until", Instant, nullable=False),
    Column("answer", Json),
    Column("created_at", Instant, nullable=False, server_default=database_now()),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

scaling_decisions = Table(
    "scaling_decisions",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("pool", String(63), nullable=False),
    Column("identity", String(64), nullable=False),  # of what was scaled: another one when it was made anew
    Column("at", Instant, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("before", Integer, nullable=False),
    Column("after", Integer, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("wanted", Integer),
    Column("reason", Text, nullable=False),
    Column("per_worker", Float, nullable=False),
    # The load, where it was measured.
    Column("ready", Integer),
    Column("unacknowledged", Integer),
    Column("unpublished", Integer),
    Column("workers", Integer),
    Column("jobs_per_second", Float),
    Column("cpu", Float),
    Index("ix_scaling_decisions_pool", "pool", "at"),
    Index("ix_scaling_decisions_at", "at"),
)

scaling_pins = Table(
    "scaling_pins",
    metadata,
    Column("pool", String(63), primary_key=True),
    Column("replicas", Integer, nullable=False),
    Column("until", Instant, nullable=False),
    Column("by", String(64), nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("queues", Json, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("jobs_done", BigInteger, nullable=False),
    Column("jobs_per_second", Float, nullable=False),
    Column("cpu", Float, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("started_at", Instant, nullable=False, server_default=database_now()),
    Column("seen_at", Instant, nullable=False, server_default=database_now()),
)


def _of_a_run(name: str, key: Column[Any], *rest: Column[Any]) -> Table:
    """What is written of a run when an epoch of it has ended."""
    run = Column("run_id", RunId, ForeignKey(runs.c.id, ondelete="CASCADE"), primary_key=True)
    return Table(name, metadata, run, Column("epoch", Integer, primary_key=True), key, *rest)


run_stages = _of_a_run(
    "run_stages",
    Column("stage", String(80), primary_key=True),
    Column("count", BigInteger, nullable=False),
    # Seconds.
    *(Column(name, Float, nullable=False) for name in ("min", "mean", "p50", "p90", "p95", "p99", "max")),
    Column("histogram", Text, nullable=False),  # HDR, of microseconds: to be merged with others, never averaged
)

run_intervals = _of_a_run(
    "run_intervals",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("begins", Float, nullable=False),  # seconds since the run began
    Column("seconds", Float, nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("emitted", "acknowledged", "completed", "failed", "cancelled", "retried", "jobs", "instances")
    ),
    Column("bytes", BigInteger, nullable=False),
    # Jobs, at the interval's end.
    Column("queued", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("workers", Integer, nullable=False),  # that had the running ones
    Column("latency", Json, nullable=False),  # by stage: count, p50, p95, p99, max
)

run_workers = _of_a_run(
    "run_workers",
    Column("worker", String(128), primary_key=True),
    Column("jobs", Integer, nullable=False),
    Column("busy_seconds", Float, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
)

run_webhooks = Table(
    "run_webhooks",
    metadata,
    Column("run_id", RunId, ForeignKey(runs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("body", Json, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),  # of the next attempt, or when the present one must be over
    Index("ix_run_webhooks_due_at", "due_at"),
)

benchmarks = Table(
    "benchmarks",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False, server_default=database_now()),
    Column("suite", String(32), nullable=False),
    Column("command", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("machine", Json, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("figures", Json, nullable=False),
    Index("ix_benchmarks_suite", "suite", "id"),
)
