"""Which de-identified packs were called back."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; recalls of before are heard when they are replayed."""
    op.create_table(
        "recalled_pack",
        sa.Column("pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("profile_version", sa.String(64), nullable=False),
        sa.Column("recalled", sa.Float, nullable=False),
    )
