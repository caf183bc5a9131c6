"""On PostgreSQL no index of its own makes an event's id unique.

A sequence numbers them, nothing asks for an event by its id alone, and the feed's index has it: seven index entries an
order less. On SQLite the id is the row's place and costs nothing. Logical replication goes by the whole row.
"""

from __future__ import annotations

from alembic import op

revision = "0009_events_by_their_feed"
down_revision = "0008_no_statistics_of_runs"
branch_labels = None
depends_on = None

_NAME, _TABLE = "pk_simulation_run_events", "simulation_run_events"


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint(_NAME, _TABLE)
        op.execute(f"ALTER TABLE {_TABLE} REPLICA IDENTITY FULL")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.create_primary_key(_NAME, _TABLE, ["id"])
        op.execute(f"ALTER TABLE {_TABLE} REPLICA IDENTITY DEFAULT")
