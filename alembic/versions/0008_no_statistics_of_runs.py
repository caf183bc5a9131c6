"""PostgreSQL keeps no statistics of which runs the rows of the hot tables belong to.

They are of runs that were there when they were gathered, and make a run that came since look as if it had one row: then
any index on its ID seems as good as another, and each look at the run's newest rows walks through all of them. Without
statistics a run is held to have half a percent of the rows, and the index that is made for a question is taken.

Nobody reads or writes these tables meanwhile: three partial indexes are built anew, in about a second a million events.
"""

from __future__ import annotations

from alembic import op

revision = "0008_no_statistics_of_runs"
down_revision = "0007_outbox_without_messages"
branch_labels = None
depends_on = None

_HOT = ("simulation_orders", "simulation_step_executions", "simulation_run_events", "outbox", "parked_jobs")


def upgrade() -> None:
    for table in _hot_tables():
        op.execute(f"ALTER TABLE {table} ALTER COLUMN run_id SET STATISTICS 0")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN run_id TYPE uuid")  # as it is; forgets what was gathered


def downgrade() -> None:
    for table in _hot_tables():
        op.execute(f"ALTER TABLE {table} ALTER COLUMN run_id SET STATISTICS -1")


def _hot_tables() -> tuple[str, ...]:
    return _HOT if op.get_context().dialect.name == "postgresql" else ()
