"""What the maps left behind, by message and by sender."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "loss_sets",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
    )
    op.create_table(
        "losses",
        sa.Column("ref", sa.String(32), primary_key=True),
        sa.Column("set_id", sa.String(32), nullable=False),
    )
    op.create_table(
        "loss_counts",
        sa.Column("sender", sa.String(227), primary_key=True),
        sa.Column("set_id", sa.String(32), primary_key=True),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
    )
