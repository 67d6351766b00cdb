"""The first schema of the index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "batch",
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=128), nullable=True),
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Float(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    op.create_index("batch_by_study", "batch", ["study_uid", "archived"], unique=False)
    op.create_index("batch_by_closed", "batch", ["closed"], unique=False)
    op.create_table(
        "copy",
        sa.Column("sealed_id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("tier", sa.String(length=64), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("written", sa.Float(), nullable=True),
        sa.Column("proven", sa.Float(), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=True),
        sa.Column("damaged", sa.Float(), nullable=True),
        sa.Column("removed", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("sealed_id", "target", "generation"),
    )
    op.create_index("copy_by_pack", "copy", ["pack_id"], unique=False)
    op.create_table(
        "instance",
        sa.Column("identity", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sop_uid", sa.String(length=128), nullable=False),
        sa.Column("study_uid", sa.String(length=128), nullable=True),
        sa.Column("series_uid", sa.String(length=128), nullable=True),
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sop_class", sa.String(length=128), nullable=False),
        sa.Column("transfer_syntax", sa.String(length=128), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=False),
        sa.Column("instance_number", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_index("instance_by_series", "instance", ["study_uid", "series_uid"], unique=False)
    op.create_index("instance_by_sop", "instance", ["sop_uid", "version"], unique=True)
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "ordered",
        sa.Column("order_ref", sa.String(length=64), nullable=False),
        sa.Column("accession_token", sa.String(length=64), nullable=True),
        sa.Column("study_uid", sa.String(length=128), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("order_ref"),
    )
    op.create_index("ordered_by_accession", "ordered", ["accession_token"], unique=False)
    op.create_index("ordered_by_study", "ordered", ["study_uid"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.String(length=64), nullable=True),
        sa.Column("links", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("claimed_until", sa.Float(), nullable=False),
        sa.Column("refused", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "pack_entry",
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("identity", sa.LargeBinary(length=16), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", "entry"),
    )
    op.create_index("pack_entry_by_identity", "pack_entry", ["identity"], unique=False)
    op.create_table(
        "request",
        sa.Column("study_uid", sa.String(length=128), nullable=False),
        sa.Column("series_uid", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=True),
        sa.Column("procedure_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("study_uid", "series_uid", "number"),
    )
    op.create_index("request_by_procedure", "request", ["procedure_id"], unique=False)
    op.create_index("request_by_step", "request", ["step_id"], unique=False)
    op.create_table(
        "sealed",
        sa.Column("sealed_id", sa.String(length=64), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sealed_id"),
    )
    op.create_index("sealed_by_pack", "sealed", ["pack_id"], unique=False)
    op.create_table(
        "series",
        sa.Column("study_uid", sa.String(length=128), nullable=False),
        sa.Column("series_uid", sa.String(length=128), nullable=False),
        sa.Column("modality", sa.Text(), nullable=True),
        sa.Column("series_number", sa.Text(), nullable=True),
        sa.Column("series_description", sa.Text(), nullable=True),
        sa.Column("body_part", sa.Text(), nullable=True),
        sa.Column("station", sa.Text(), nullable=True),
        sa.Column("step_date", sa.Text(), nullable=True),
        sa.Column("step_time", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_uid", "series_uid"),
    )
    op.create_index("series_by_modality", "series", ["modality"], unique=False)
    op.create_table(
        "study",
        sa.Column("study_uid", sa.String(length=128), nullable=False),
        sa.Column("study_ref", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=True),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("first_event", sa.Float(), nullable=False),
        sa.Column("last_event", sa.Float(), nullable=False),
        sa.Column("completed", sa.Float(), nullable=True),
        sa.Column("archived", sa.Float(), nullable=True),
        sa.Column("quiet", sa.Float(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("accession_token", sa.String(length=64), nullable=True),
        sa.Column("patient_id", sa.Text(), nullable=True),
        sa.Column("patient_issuer", sa.Text(), nullable=True),
        sa.Column("patient_name", sa.Text(), nullable=True),
        sa.Column("birth_date", sa.Text(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=True),
        sa.Column("study_date", sa.Text(), nullable=True),
        sa.Column("study_time", sa.Text(), nullable=True),
        sa.Column("accession", sa.Text(), nullable=True),
        sa.Column("study_id", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("referring", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_uid"),
    )
    op.create_index("study_by_accession", "study", ["accession"], unique=False)
    op.create_index("study_by_date", "study", ["study_date"], unique=False)
    op.create_index("study_by_patient", "study", ["patient_id"], unique=False)
    op.create_index("study_by_ref", "study", ["study_ref"], unique=False)
    op.create_index("study_by_step", "study", ["step", "due", "last_event"], unique=False)
    op.create_table(
        "withheld",
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("sop_uid", sa.String(length=128), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", "project", "sop_uid", "dataset_sha256"),
    )
    op.create_index("withheld_by_sop", "withheld", ["sop_uid"], unique=False)
