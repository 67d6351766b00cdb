"""De-identified packs that were called back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "recalled",
        sa.Column("pack_id", sa.String(64), primary_key=True),
        sa.Column("source_pack_id", sa.String(64), nullable=False),
        sa.Column("recall_id", sa.String(64), nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_recalled_source_pack_id", "recalled", ["source_pack_id"])
