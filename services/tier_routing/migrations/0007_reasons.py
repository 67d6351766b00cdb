"""Storage commitment: what a decision was, for a peer that makes the same request again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is decided it is not known which instances failed."""
    op.add_column("commitments", sa.Column("requested", sa.BigInteger(), nullable=True))
    op.add_column("commitments", sa.Column("reasons", sa.Text(), nullable=True))
