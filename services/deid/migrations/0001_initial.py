"""Identities, results, quarantine, known copies and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.outbox import outbox_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "identity",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("original", sa.Text, nullable=False),
        sa.Column("replacement", sa.String(128), nullable=False),
    )
    op.create_index("identity_by_replacement", "identity", ["project", "replacement"])
    op.create_table(
        "result",
        sa.Column("source_pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("pack_id", sa.String(64), nullable=False),
        sa.Column("edition", sa.String(16), nullable=False),
        sa.Column("asked", sa.Float, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("result_by_pack", "result", ["pack_id"])
    op.create_table(
        "result_batch",
        sa.Column("source_pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("batch_id", sa.String(64), primary_key=True),
        sa.Column("archived", sa.Float),
    )
    op.create_index("result_batch_by_batch", "result_batch", ["batch_id"])
    op.create_table(
        "withheld",
        sa.Column("source_pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(128), primary_key=True),
        sa.Column("dataset_sha256", sa.String(64), primary_key=True),
        sa.Column("study_ref", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("blob_key", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "known_copy",
        sa.Column("sealed_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("pack_id", sa.String(64), nullable=False),
        sa.Column("proven", sa.Float),
        sa.Column("lost", sa.Float),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("known_copy_by_pack", "known_copy", ["pack_id"])
    outbox_table(sa.MetaData()).create(op.get_bind())
