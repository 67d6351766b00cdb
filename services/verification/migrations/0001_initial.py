"""The copies and their last proof, the inbox and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.inbox import inbox_table
from shared.messaging.outbox import outbox_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "copies",
        sa.Column("sealed_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("study_ref", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("copy_key", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text),
        sa.Column("written", sa.DateTime(timezone=True)),
        sa.Column("proven", sa.DateTime(timezone=True)),
        sa.Column("proofs", sa.Integer, nullable=False),
        sa.Column("due", sa.Float),
    )
    op.create_index("copies_due", "copies", ["target", "due"])
    op.create_index("copies_study", "copies", ["study_ref"])
    metadata = sa.MetaData()
    inbox_table(metadata).create(op.get_bind())
    outbox_table(metadata).create(op.get_bind())
