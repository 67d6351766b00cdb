"""Which de-identified packs hold what was withheld before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; packs of before are heard when they are replayed."""
    op.create_table(
        "deidentified_pack",
        sa.Column("pack_id", sa.String(64), primary_key=True),
        sa.Column("source_pack_id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
    )
    op.add_column("withheld", sa.Column("run", sa.Integer, nullable=False, server_default="0"))
