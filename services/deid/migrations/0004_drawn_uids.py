"""UIDs that are drawn at random, and who has undone a merge and why."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what went out under keyed UIDs stays what it is."""
    op.create_table(
        "drawn_uid",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False),
    )
