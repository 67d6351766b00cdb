"""Storage commitment: requests, and of instances what decides on them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; of instances that are here the SOP class is not known."""
    op.add_column("claims", sa.Column("sop_class", sa.LargeBinary(length=8), nullable=True))
    op.create_table(
        "brought",
        sa.Column("identity", sa.LargeBinary(length=16), nullable=False),
        sa.Column("batch", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("identity", "batch"),
    )
    op.create_table(
        "commitments",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("commitment_id", sa.String(length=64), nullable=False),
        sa.Column("transaction", sa.String(length=200), nullable=True),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.Column("traceparent", sa.String(length=64), nullable=True),
        sa.Column("look_after", sa.BigInteger(), nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("commitment_id"),
        sa.UniqueConstraint("transaction"),
    )
    op.create_index("ix_commitments_look_after", "commitments", ["look_after"], unique=False)
    for table, column, kind in (
        ("commitment_names", "name", sa.LargeBinary(length=16)),
        ("commitment_batches", "batch", _NUMBER),
    ):
        op.create_table(
            table,
            sa.Column(column, kind, nullable=False),
            sa.Column("commitment", _NUMBER, nullable=False),
            sa.PrimaryKeyConstraint(column, "commitment"),
        )
        op.create_index(f"ix_{table}_commitment", table, ["commitment"], unique=False)
