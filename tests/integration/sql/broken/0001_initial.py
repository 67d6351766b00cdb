"""Makes a table, then fails."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("half", sa.Column("name", sa.String))
    op.execute("SELECT * FROM there_is_no_such_table")
