"""A column more."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("counter") as table:
        table.add_column(sa.Column("note", sa.String, server_default="none"))
