"""A table of counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "counter", sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.Integer, nullable=False)
    )
    op.execute("INSERT INTO counter VALUES ('made', 1)")
