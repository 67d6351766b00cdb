"""Notices to a RIS: reports on procedure steps, instances that can be retrieved."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "notice",
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("notice", sa.String(64), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("ref", sa.String(64), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sop_instance_uid", sa.String(128)),
        sa.Column("delivered", sa.Boolean),
        sa.Column("reason", sa.String(64)),
        sa.Column("asked", sa.Boolean, nullable=False),
        sa.Column("claimed_until", sa.Float, nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("notice_asked", "notice", ["destination", "asked", "position"])
