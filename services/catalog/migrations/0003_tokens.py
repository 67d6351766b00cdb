"""The match tokens of studies, and which patients are one since their records were merged."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; studies that are known get their tokens when their batches are replayed."""
    op.create_table(
        "study_token",
        sa.Column("study_uid", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
    )
    op.create_index("study_by_token", "study_token", ["kind", "token"])
    op.create_table(
        "merged_patient",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("survivor", sa.String(64), nullable=False),
    )
    op.create_index("merged_by_survivor", "merged_patient", ["survivor"])
