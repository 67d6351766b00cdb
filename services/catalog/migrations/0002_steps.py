"""Procedure steps, the studies that they are for, and the instances that they made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "step",
        sa.Column("step_ref", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("step_ref"),
    )
    op.create_table(
        "step_study",
        sa.Column("step_ref", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("step_ref", "study_uid"),
    )
    op.create_index("step_by_study", "step_study", ["study_uid"], unique=False)
    op.create_table(
        "step_instance",
        sa.Column("step_ref", sa.String(length=64), nullable=False),
        sa.Column("sop_uid", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("step_ref", "sop_uid"),
    )
