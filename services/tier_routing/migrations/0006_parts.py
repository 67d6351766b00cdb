"""De-identified packs that were released from quarantine join the one that went out at once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Everything so far is the first part."""
    op.add_column("deidentified", sa.Column("part", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deidentified", sa.Column("archived", sa.BigInteger()))
