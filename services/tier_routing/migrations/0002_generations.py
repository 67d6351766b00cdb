"""Which generation of a copy is wanted: one that is wanted again, or in another tier, is another one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Everything wanted so far is the first generation."""
    op.add_column("wanted", sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
