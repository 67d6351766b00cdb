"""When things were heard and where messages came from, so that each can be let go in its time."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AE = sa.text("code = 'AE'")
_EMPTY = sa.text("content IS NULL")


def upgrade() -> None:
    """What is here already counts as heard now, and as coming from nowhere in particular."""
    op.add_column("messages", sa.Column("peer", sa.String(64), nullable=False, server_default=""))
    op.create_index(
        "messages_refused",
        "messages",
        ["origin", "peer", "sequence", "size", "code"],
        sqlite_where=_AE,
        postgresql_where=_AE,
    )
    op.create_index("messages_gone", "messages", ["received"], sqlite_where=_EMPTY, postgresql_where=_EMPTY)
    for name in ("outgoing_told", "step_reports", "study_images"):
        op.add_column(name, sa.Column("at", sa.Float, nullable=False, server_default="0"))
        table = sa.table(name, sa.column("at", sa.Float))
        op.execute(sa.update(table).values(at=time.time()))
    op.create_index("ix_outgoing_told_at", "outgoing_told", ["at"])
