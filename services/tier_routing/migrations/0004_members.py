"""What a pack leaves out of a batch: a batch may lie in several packs, and in none as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Every batch so far lies whole in its pack, or in none: what it brought again was stored again, or was not."""
    op.create_table(
        "members",
        sa.Column("batch", _NUMBER, nullable=False),
        sa.Column("pack", _NUMBER, nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "pack"),
    )
    op.create_index("ix_members_pack", "members", ["pack"], unique=False)
    op.execute("INSERT INTO members SELECT number, pack, '' FROM batches WHERE pack IS NOT NULL")
    op.drop_index("ix_batches_pack", table_name="batches")
    op.drop_column("batches", "pack")
    op.add_column("claims", sa.Column("keeper", _NUMBER, nullable=True))
    op.add_column("brought", sa.Column("entry", sa.Integer(), nullable=True))
    op.add_column("brought", sa.Column("stored", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute("UPDATE brought SET stored = false WHERE batch NOT IN (SELECT batch FROM members)")
