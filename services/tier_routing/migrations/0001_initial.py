"""The first schema of the ledger."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import MetaData

from shared.messaging.outbox import outbox_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    outbox_table(MetaData()).create(op.get_bind())
    op.create_table(
        "announced",
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("study_ref", sa.String(length=64), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    op.create_index("ix_announced_ended", "announced", ["ended"], unique=False)
    op.create_table(
        "batches",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=128), nullable=True),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("arrival", sa.Text(), nullable=False),
        sa.Column("commit_after", sa.Text(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("traceparent", sa.String(length=64), nullable=True),
        sa.Column("pack", _NUMBER, nullable=True),
        sa.Column("secured", sa.BigInteger(), nullable=True),
        sa.Column("secured_plan", sa.String(length=64), nullable=True),
        sa.Column("archived", sa.BigInteger(), nullable=True),
        sa.Column("archived_plan", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("batch_id"),
    )
    op.create_index("ix_batches_pack", "batches", ["pack"], unique=False)
    op.create_index("ix_batches_study_ref", "batches", ["study_ref"], unique=False)
    op.create_table(
        "claims",
        sa.Column("identity", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.LargeBinary(length=16), nullable=False),
        sa.Column("batch", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_index("ix_claims_name", "claims", ["name"], unique=False)
    op.create_table(
        "copies",
        sa.Column("sealed_id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=True),
        sa.Column("proven", sa.BigInteger(), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=True),
        sa.Column("damaged", sa.BigInteger(), nullable=True),
        sa.Column("damage", sa.String(length=32), nullable=True),
        sa.Column("failed", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(length=128), nullable=True),
        sa.Column("retrying", sa.Boolean(), nullable=False),
        sa.Column("expired", sa.String(length=16), nullable=True),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sealed_id", "target", "generation"),
    )
    op.create_index("copies_by_target_failed", "copies", ["target", "failed"], unique=False)
    op.create_index("copies_by_target_written", "copies", ["target", "written"], unique=False)
    op.create_index("ix_copies_pack_id", "copies", ["pack_id"], unique=False)
    op.create_table(
        "dead_letters",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("error_class", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=128), nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.Column("pack_id", sa.String(length=64), nullable=True),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_dead_letters_batch_id", "dead_letters", ["batch_id"], unique=False)
    op.create_index("ix_dead_letters_pack_id", "dead_letters", ["pack_id"], unique=False)
    op.create_table(
        "deidentified",
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("source_pack_id", sa.String(length=64), nullable=True),
        sa.Column("project", sa.String(length=64), nullable=True),
        sa.Column("told", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pack_id"),
    )
    op.create_index("ix_deidentified_source_pack_id", "deidentified", ["source_pack_id"], unique=False)
    op.create_table(
        "history",
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("sealed_id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("fact", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.String(length=128), nullable=True),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("after_archived", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_history_pack_id", "history", ["pack_id"], unique=False)
    op.create_table(
        "orders",
        sa.Column("order_ref", sa.String(length=64), nullable=False),
        sa.Column("accession_token", sa.String(length=64), nullable=True),
        sa.Column("study_ref", sa.String(length=64), nullable=True),
        sa.Column("priority", sa.String(length=64), nullable=True),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_ref"),
    )
    op.create_index("ix_orders_accession_token", "orders", ["accession_token"], unique=False)
    op.create_index("ix_orders_study_ref", "orders", ["study_ref"], unique=False)
    op.create_table(
        "owners",
        sa.Column("duplicate", _NUMBER, nullable=False),
        sa.Column("owner", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("duplicate", "owner"),
    )
    op.create_index("ix_owners_owner", "owners", ["owner"], unique=False)
    op.create_table(
        "packs",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("open_group", sa.String(length=200), nullable=True),
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=128), nullable=True),
        sa.Column("pack_id", sa.String(length=64), nullable=True),
        sa.Column("plan_id", sa.String(length=64), nullable=True),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("copies", sa.Text(), nullable=False),
        sa.Column("commit_after", sa.Text(), nullable=False),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=True),
        sa.Column("waiting_since", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("restarted", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=True),
        sa.Column("look_after", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("open_group"),
        sa.UniqueConstraint("pack_id"),
    )
    op.create_index("ix_packs_study_ref", "packs", ["study_ref"], unique=False)
    op.create_index("ix_packs_waiting_since", "packs", ["waiting_since"], unique=False)
    op.create_table(
        "plans",
        sa.Column("plan_id", sa.String(length=64), nullable=False),
        sa.Column("pack", _NUMBER, nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("copies", sa.Text(), nullable=False),
        sa.Column("commit_after", sa.Text(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id"),
    )
    op.create_index("ix_plans_pack", "plans", ["pack"], unique=False)
    op.create_table(
        "quarantines",
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.Column("released", sa.Integer(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", "project"),
    )
    op.create_table(
        "seals",
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("key_domain", sa.String(length=64), nullable=False),
        sa.Column("sealed_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", "key_domain"),
    )
    op.create_table(
        "series",
        sa.Column("series", sa.LargeBinary(length=16), nullable=False),
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("series"),
    )
    op.create_table(
        "studies",
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.Column("patient_token", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("study_ref"),
    )
    op.create_table(
        "wanted",
        sa.Column("pack", _NUMBER, nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("key_domain", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("tier", sa.String(length=64), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("pack", "form", "target", "key_domain", "project"),
    )
    op.create_index("ix_wanted_retention_days", "wanted", ["retention_days"], unique=False)
