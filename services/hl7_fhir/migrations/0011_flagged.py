"""Messages that were flagged for a person are found among all others."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FLAGGED = sa.text("flags <> ''")


def upgrade() -> None:
    """An index of the few that have a flag."""
    op.create_index("messages_flagged", "messages", ["sequence"], sqlite_where=_FLAGGED, postgresql_where=_FLAGGED)
