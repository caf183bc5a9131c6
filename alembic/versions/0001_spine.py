"""The spine: templates, runs, orders, step executions, events, outbox, findings."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from app.adapters.database.clock import Instant, database_now
from app.adapters.database.tables import Json, RunId, Serial, current_transaction
from app.domain.run import TRANSITIONS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TERMINAL_STEP = sa.text("kind IN ('step.succeeded', 'step.failed', 'step.cancelled')")
TERMINAL_ORDER = sa.text("kind IN ('order.completed', 'order.failed', 'order.cancelled')")
UNFINISHED = sa.text("state IN ('SENDING', 'WAITING')")

REFUSE_POSTGRESQL = """
CREATE FUNCTION simulation_runs_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM simulation_run_transitions t WHERE t.state = OLD.state AND t.following = NEW.state
    ) THEN
        RAISE EXCEPTION 'a run in state % can''t become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER simulation_runs_transition BEFORE UPDATE OF state ON simulation_runs
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION simulation_runs_check_transition();
"""
REFUSE_SQLITE = """
CREATE TRIGGER simulation_runs_transition BEFORE UPDATE OF state ON simulation_runs
    FOR EACH ROW WHEN OLD.state IS NOT NEW.state AND NOT EXISTS (
        SELECT 1 FROM simulation_run_transitions t WHERE t.state = OLD.state AND t.following = NEW.state)
BEGIN
    SELECT RAISE(ABORT, 'this run state transition is not in simulation_run_transitions');
END;
"""


def upgrade() -> None:
    _templates()
    _runs()
    _orders()
    _events()
    _outbox_and_findings()


def _templates() -> None:
    op.create_table(
        "simulation_templates",
        sa.Column("id", RunId, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("shipped", sa.Boolean, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("created_at", Instant, nullable=False, server_default=database_now()),
        sa.Column("updated_at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("id", name="pk_simulation_templates"),
        sa.UniqueConstraint("name", name="uq_simulation_templates_name"),
    )
    op.create_table(
        "simulation_steps",
        sa.Column("template_id", RunId, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(8)),
        sa.Column("queue_async", sa.Boolean),
        sa.Column("queue", sa.String(127)),
        sa.Column("job_type", sa.String(64)),
        sa.Column("queue_metadata", Json, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("retry", Json, nullable=False),
        sa.Column("timeout", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("template_id", "position", name="pk_simulation_steps"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["simulation_templates.id"], name="fk_simulation_steps_template_id", ondelete="CASCADE"
        ),
    )


def _runs() -> None:
    transitions = op.create_table(
        "simulation_run_transitions",
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("following", sa.String(24), nullable=False),
        sa.PrimaryKeyConstraint("state", "following", name="pk_simulation_run_transitions"),
    )
    rows = [{"state": state, "following": next_} for state, following in TRANSITIONS.items() for next_ in following]
    op.bulk_insert(transitions, rows)
    op.create_table(
        "simulation_runs",
        sa.Column("id", RunId, nullable=False),
        sa.Column("run_key", sa.String(8), nullable=False),
        sa.Column("template_id", RunId),
        sa.Column("template_name", sa.String(64), nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("base_time", sa.String(32), nullable=False),
        sa.Column("requested", sa.Integer, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("labels", Json, nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", Instant, nullable=False, server_default=database_now()),
        sa.Column("started_at", Instant),
        sa.Column("emitted_at", Instant),
        sa.Column("finished_at", Instant),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_fence", RunId),
        sa.Column("lease_until", Instant),
        sa.Column("summary", Json),
        sa.PrimaryKeyConstraint("id", name="pk_simulation_runs"),
        sa.UniqueConstraint("run_key", name="uq_simulation_runs_run_key"),
    )
    op.create_index("ix_simulation_runs_created_at", "simulation_runs", ["created_at", "id"])
    op.execute(REFUSE_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else REFUSE_SQLITE)


def _orders() -> None:
    op.create_table(
        "simulation_orders",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("accession", sa.String(16), nullable=False),
        sa.Column("control_id", sa.String(20), nullable=False),
        sa.Column("patient_id", sa.String(64), nullable=False),
        sa.Column("patient_name", sa.Text, nullable=False),
        sa.Column("birth_date", sa.String(8), nullable=False),
        sa.Column("sex", sa.String(1), nullable=False),
        sa.Column("modality", sa.String(16), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("begun_at", Instant, nullable=False, server_default=database_now()),
        sa.Column("acknowledged_at", Instant),
        sa.Column("finished_at", Instant),
        sa.Column("ack_code", sa.String(2), nullable=False, server_default=""),
        sa.Column("acknowledgement", sa.Text, nullable=False, server_default=""),
        sa.Column("possibly_duplicated", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("instances_stored", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_simulation_orders"),
    )
    op.create_index(
        "ix_simulation_orders_unfinished",
        "simulation_orders",
        ["run_id"],
        postgresql_where=UNFINISHED,
        sqlite_where=UNFINISHED,
    )
    op.create_table(
        "simulation_step_executions",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("order_number", sa.Integer, nullable=False),
        sa.Column("step_index", sa.Integer, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("fence", RunId),
        sa.Column("lease_until", Instant),
        sa.Column("worker", sa.String(128)),
        sa.Column("ready_at", Instant),
        sa.Column("finished_at", Instant),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("run_id", "order_number", "step_index", name="pk_simulation_step_executions"),
        postgresql_with={"fillfactor": 50},
    )


def _events() -> None:
    table = "simulation_run_events"
    op.create_table(
        table,
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False, server_default=current_transaction()),
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("order_number", sa.Integer),
        sa.Column("step_index", sa.Integer),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("at", Instant, nullable=False, server_default=database_now()),
        sa.Column("data", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_feed", table, ["run_id", "xid", "id"])
    key = ["run_id", "order_number", "step_index", "kind", "starts"]
    op.create_index(f"uq_{table}_key", table, key, unique=True)
    for name, columns, where in (
        ("terminal_step", ["run_id", "order_number", "step_index", "epoch"], TERMINAL_STEP),
        ("terminal_order", ["run_id", "order_number", "epoch"], TERMINAL_ORDER),
    ):
        op.create_index(f"uq_{table}_{name}", table, columns, unique=True, postgresql_where=where, sqlite_where=where)


def _outbox_and_findings() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("order_number", sa.Integer, nullable=False),
        sa.Column("step_index", sa.Integer, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("queue", sa.String(127), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("due_at", Instant, nullable=False, server_default=database_now()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_due", "outbox", ["run_id", "due_at", "id"])
    op.create_table(
        "simulation_findings",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("order_number", sa.Integer),
        sa.Column("accession", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_simulation_findings"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["simulation_runs.id"], name="fk_simulation_findings_run_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_simulation_findings_run_id", "simulation_findings", ["run_id"])


def downgrade() -> None:
    for table in (
        "simulation_findings",
        "outbox",
        "simulation_run_events",
        "simulation_step_executions",
        "simulation_orders",
        "simulation_runs",
        "simulation_run_transitions",
        "simulation_steps",
        "simulation_templates",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION simulation_runs_check_transition()")
