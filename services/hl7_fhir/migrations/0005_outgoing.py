"""Messages for other receivers, a queue for each."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; a receiver gets what comes from then on."""
    op.create_table(
        "outgoing",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("receiver", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=True),
        sa.Column("ref", sa.String(32), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=True),
        sa.Column("queued", sa.Float, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(64), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("outgoing_next", "outgoing", ["receiver", "state", "number"])
    op.create_index("outgoing_sequence", "outgoing", ["sequence"])
    op.create_table(
        "receivers",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("held", sa.Boolean, nullable=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("away", sa.String(64), nullable=True),
        sa.Column("away_since", sa.Float, nullable=True),
    )
    op.create_table("outgoing_told", sa.Column("ref", sa.String(32), primary_key=True))
