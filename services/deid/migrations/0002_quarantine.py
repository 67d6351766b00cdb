"""Withheld instances are described, decided on by people, and released as further parts of their pack."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what there was no place for; what is withheld already waits, and was never described."""
    op.add_column("withheld", sa.Column("entry", sa.String(64), nullable=False, server_default=""))
    op.add_column("withheld", sa.Column("since", sa.Float, nullable=False, server_default="0"))
    op.add_column("withheld", sa.Column("state", sa.String(16), nullable=False, server_default="waiting"))
    op.add_column("withheld", sa.Column("instance", sa.Text))
    op.add_column("withheld", sa.Column("findings", sa.Text, nullable=False, server_default="[]"))
    op.add_column("withheld", sa.Column("bytes_gone", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("withheld_by_entry", "withheld", ["entry"])
    op.create_index("withheld_by_state", "withheld", ["state", "since"])
    op.create_index("withheld_by_blob", "withheld", ["blob_key"])
    op.create_table(
        "verdict",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("entry", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("told", sa.Float, nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("verdict_by_entry", "verdict", ["entry", "told"])
    op.create_table(
        "part",
        sa.Column("source_pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("pack_id", sa.String(64), nullable=False),
        sa.Column("entry", sa.String(64), nullable=False),
        sa.Column("study_ref", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("profile_version", sa.String(64), nullable=False),
        sa.Column("asked", sa.Float, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("part_by_pack", "part", ["pack_id"])
    op.create_index("part_by_profile", "part", ["profile", "profile_version"])
