"""When a batch was complete: what is tried again is tried in that order."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; of what was settled before the order stays open."""
    op.add_column("batch", sa.Column("closed", sa.Float, nullable=False, server_default="0"))
