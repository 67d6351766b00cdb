"""Instances and batches by destination, destinations, archived batches, the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.outbox import outbox_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "forwarded",
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("instance", sa.String(32), primary_key=True),
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("sop_instance_uid", sa.String(128)),
    )
    op.create_index("forwarded_batch", "forwarded", ["destination", "batch_id"])
    op.create_table(
        "batch",
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("batch_id", sa.String(64), primary_key=True),
        sa.Column("delivered", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("asked", sa.Boolean, nullable=False),
        sa.Column("claimed_until", sa.Float, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("batch_asked", "batch", ["destination", "asked"])
    op.create_table(
        "destination",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("held", sa.Boolean),
        sa.Column("oldest", sa.Float),
        sa.Column("away", sa.String(64)),
        sa.Column("away_since", sa.Float),
    )
    op.create_table(
        "archived",
        sa.Column("batch_id", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    outbox_table(sa.MetaData()).create(op.get_bind())
