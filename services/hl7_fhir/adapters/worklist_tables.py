"""Scheduled steps as a worklist searches them, and what is known of how they were performed."""

from sqlalchemy import Boolean, Column, DateTime, Float, Index, Integer, String, Table, Text

from services.hl7_fhir.adapters.tables import metadata


def _text(length: int) -> String:
    """Compared byte by byte, so that an index serves the beginning of a value on PostgreSQL as well."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: One row per scheduled step. ``name`` tells it from others of its order; ``said`` is the state by the RIS alone;
#: ``made_uid`` is the Study Instance UID that was made here; ``starts`` is local time, YYYYMMDDHHMMSS, ``time`` its
#: last six digits; ``data`` is what is answered. It is shown while it is ``listed`` and before it ``leaves``.
steps = Table(
    "steps",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("order_id", String(64), nullable=False, index=True),
    Column("patient", String(64), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("message_ref", String(32), nullable=False),
    Column("said", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("leaves", DateTime(timezone=True), nullable=True),
    Column("problem", String(64), nullable=True),
    Column("cut", Text, nullable=False),
    Column("starts", _text(14), nullable=False),
    Column("time", _text(6), nullable=False),
    Column("modality", _text(16), nullable=False),
    Column("study_uid", _text(64), nullable=False, index=True),
    Column("made_uid", _text(64), nullable=True, index=True),
    Column("accession", _text(256), nullable=False, index=True),
    Column("patient_id", _text(64), nullable=False, index=True),
    Column("patient_issuer", _text(64), nullable=False),
    Column("birth_date", _text(8), nullable=False),
    Column("sex", _text(16), nullable=False),
    Column("admission_id", _text(64), nullable=False),
    Column("procedure_id", _text(16), nullable=False, index=True),
    Column("step_id", _text(16), nullable=False, index=True),
    Column("placer_number", _text(64), nullable=False),
    Column("filler_number", _text(64), nullable=False),
    Column("charset", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Index("steps_modality", "modality", "starts", "id"),
    Index("steps_starts", "starts", "id"),
)

#: The stations that a step is for; an empty one for a step that any station may do.
step_stations = Table(
    "step_stations",
    metadata,
    Column("step", String(64), primary_key=True),
    Column("station", _text(16), primary_key=True),
    Column("starts", _text(14), nullable=False),
    Index("step_stations_station", "station", "starts", "step"),
)

#: Names by which a step is found, folded, one row per component group; ``kind`` is a column of a matching key.
step_names = Table(
    "step_names",
    metadata,
    Column("step", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("name", _text(192), primary_key=True),
    Index("step_names_name", "kind", "name", "step"),
)

#: Performed steps (MPPS) as last reported, the studies that each is of, and the ids of the steps that it fulfils;
#: ``at`` is when that was heard, in seconds since 1970, here and below.
step_reports = Table(
    "step_reports",
    metadata,
    Column("step_ref", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", Float, nullable=False, server_default="0"),
)
step_report_studies = Table(
    "step_report_studies",
    metadata,
    Column("study_uid", _text(64), primary_key=True),
    Column("step_ref", String(64), primary_key=True),
)
step_report_steps = Table(
    "step_report_steps",
    metadata,
    Column("step_ref", String(64), primary_key=True),
    Column("step_id", _text(16), primary_key=True),
)

#: Studies of which images are here: ``received`` or ``completed``.
study_images = Table(
    "study_images",
    metadata,
    Column("study_uid", _text(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("at", Float, nullable=False, server_default="0"),
)
