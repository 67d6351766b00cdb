"""Scheduled procedure steps."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "steps",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_ref", sa.String(32), nullable=False),
        sa.Column("said", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("leaves", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(64), nullable=True),
        sa.Column("cut", sa.Text, nullable=False),
        sa.Column("starts", _text(14), nullable=False),
        sa.Column("time", _text(6), nullable=False),
        sa.Column("modality", _text(16), nullable=False),
        sa.Column("study_uid", _text(64), nullable=False),
        sa.Column("made_uid", _text(64), nullable=True),
        sa.Column("accession", _text(256), nullable=False),
        sa.Column("patient_id", _text(64), nullable=False),
        sa.Column("patient_issuer", _text(64), nullable=False),
        sa.Column("birth_date", _text(8), nullable=False),
        sa.Column("sex", _text(16), nullable=False),
        sa.Column("admission_id", _text(64), nullable=False),
        sa.Column("procedure_id", _text(16), nullable=False),
        sa.Column("step_id", _text(16), nullable=False),
        sa.Column("placer_number", _text(64), nullable=False),
        sa.Column("filler_number", _text(64), nullable=False),
        sa.Column("charset", sa.String(32), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    single = ("order_id", "patient", "study_uid", "made_uid", "accession", "patient_id", "procedure_id", "step_id")
    for column in single:
        op.create_index(f"ix_steps_{column}", "steps", [column])
    op.create_index("steps_modality", "steps", ["modality", "starts", "id"])
    op.create_index("steps_starts", "steps", ["starts", "id"])
    _create_keys()
    _create_evidence()


def _create_keys() -> None:
    op.create_table(
        "step_stations",
        sa.Column("step", sa.String(64), primary_key=True),
        sa.Column("station", _text(16), primary_key=True),
        sa.Column("starts", _text(14), nullable=False),
    )
    op.create_index("step_stations_station", "step_stations", ["station", "starts", "step"])
    op.create_table(
        "step_names",
        sa.Column("step", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", _text(192), primary_key=True),
    )
    op.create_index("step_names_name", "step_names", ["kind", "name", "step"])


def _create_evidence() -> None:
    op.create_table(
        "step_reports",
        sa.Column("step_ref", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_table(
        "step_report_studies",
        sa.Column("study_uid", _text(64), primary_key=True),
        sa.Column("step_ref", sa.String(64), primary_key=True),
    )
    op.create_table(
        "step_report_steps",
        sa.Column("step_ref", sa.String(64), primary_key=True),
        sa.Column("step_id", _text(16), primary_key=True),
    )
    op.create_table(
        "study_images",
        sa.Column("study_uid", _text(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
    )
