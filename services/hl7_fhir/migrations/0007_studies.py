"""Studies, what ties them to orders and patients, and the work list of what nothing ties."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; keys of patients and orders that are known already are made when the service starts."""
    _studies()
    _keys()
    op.create_table(
        "study_orders",
        sa.Column("study", sa.String(64), primary_key=True),
        sa.Column("order_id", sa.String(64), primary_key=True),
    )
    op.create_index("study_orders_by_order", "study_orders", ["order_id"])
    op.create_table(
        "study_decisions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_study_decisions_study", "study_decisions", ["study"])


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(128), nullable=False, unique=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("modalities", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("patient", sa.String(64), nullable=True),
        sa.Column("basis", sa.String(32), nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("waiting", sa.Boolean, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told", sa.Integer, nullable=False),
    )
    op.create_index("studies_by_patient", "studies", ["patient"])
    op.create_index("studies_waiting", "studies", ["waiting", "since"])
    op.create_table(
        "study_tokens",
        sa.Column("study", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
    )
    op.create_index("study_tokens_by_token", "study_tokens", ["kind", "token"])


def _keys() -> None:
    op.create_table(
        "patient_tokens",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("decisive", sa.Boolean, nullable=False),
    )
    op.create_index("patient_tokens_by_patient", "patient_tokens", ["patient"])
    op.create_table(
        "merged_patients",
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("survivor", sa.String(64), nullable=False),
    )
    op.create_index("merged_patients_by_survivor", "merged_patients", ["survivor"])
    op.create_table(
        "order_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("accession_token", sa.String(64), nullable=True),
        sa.Column("study_uid", sa.String(128), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("modality", sa.String(16), nullable=True),
        sa.Column("scheduled", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("order_keys_by_accession", "order_keys", ["accession_token"])
    op.create_index("order_keys_by_study", "order_keys", ["study_uid"])
    op.create_index("order_keys_by_patient", "order_keys", ["patient"])
    op.create_index("order_keys_by_time", "order_keys", ["modality", "scheduled"])
