"""Storage commitment: when a request was last made, for a peer that makes it again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of those of before it is not known."""
    op.add_column("commitments", sa.Column("requested", sa.BigInteger(), nullable=True))
