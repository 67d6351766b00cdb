"""UIDs that are drawn at random, and who took a merge back and why."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; what went out under keyed UIDs stays what it is."""
    op.create_table(
        "drawn_uid",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False),
    )
    op.create_table(
        "undone_merge",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("told", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("undone_merge_by_person", "undone_merge", ["person", "told"])
