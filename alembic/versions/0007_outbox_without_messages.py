"""The outbox names its jobs; their messages are made when they are published.

Downwards its entries are given up, as they can't be published without a message. Their jobs are put in again: by the
sweeper of their run once its queues have been quiet, or, of an embedded run, by the producer that takes it over.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0007_outbox_without_messages"
down_revision = "0006_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("outbox", "body")
    op.drop_column("outbox", "job_id")


def downgrade() -> None:
    op.execute("DELETE FROM outbox")
    with op.batch_alter_table("outbox") as table:
        table.add_column(sa.Column("job_id", sa.String(128), nullable=False))
        table.add_column(sa.Column("body", sa.Text, nullable=False))
