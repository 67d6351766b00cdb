"""The tables of studies: what identifies them, their patients and orders, what ties them, and what people decided."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, String, Table, Text

from services.hl7_fhir.adapters.tables import metadata

_ID = String(64)

#: One row per study. ``id`` is that of its ImagingStudy; (``revision``, ``rank``) is how far its story was heard.
#: ``reasons`` (codes between spaces) is why it waits for a person, ``since`` when; ``told`` counts what was told of it.
studies = Table(
    "studies",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("study_uid", String(128), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("series", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("modalities", Text, nullable=False),
    Column("started", DateTime(timezone=True), nullable=True),
    Column("patient", _ID, nullable=True),
    Column("basis", String(32), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("waiting", Boolean, nullable=False),
    Column("since", DateTime(timezone=True), nullable=True),
    Column("told", Integer, nullable=False),
    Index("studies_by_patient", "patient"),
    Index("studies_waiting", "waiting", "since"),
)

#: The match tokens of a study's images by ``kind`` (patient, accession).
study_tokens = Table(
    "study_tokens",
    metadata,
    Column("study", _ID, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("token", _ID, primary_key=True),
    Index("study_tokens_by_token", "kind", "token"),
)

#: The match tokens of a Patient's ids; ``decisive`` is that of the one id that makes it this Patient.
patient_tokens = Table(
    "patient_tokens",
    metadata,
    Column("token", _ID, primary_key=True),
    Column("patient", _ID, primary_key=True),
    Column("decisive", Boolean, nullable=False),
    Index("patient_tokens_by_patient", "patient"),
)

#: Which Patient stands for another one since their records were merged; never one that is merged itself.
merged_patients = Table(
    "merged_patients",
    metadata,
    Column("patient", _ID, primary_key=True),
    Column("survivor", _ID, nullable=False),
    Index("merged_patients_by_survivor", "survivor"),
)

#: What identifies an order, and what makes it like a study.
order_keys = Table(
    "order_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("patient", _ID, nullable=False),
    Column("accession_token", _ID, nullable=True),
    Column("study_uid", String(128), nullable=True),
    Column("status", String(32), nullable=False),
    Column("modality", String(16), nullable=True),
    Column("scheduled", DateTime(timezone=True), nullable=True),
    Index("order_keys_by_accession", "accession_token"),
    Index("order_keys_by_study", "study_uid"),
    Index("order_keys_by_patient", "patient"),
    Index("order_keys_by_time", "modality", "scheduled"),
)

#: The orders that a study is tied to.
study_orders = Table(
    "study_orders",
    metadata,
    Column("study", _ID, primary_key=True),
    Column("order_id", _ID, primary_key=True),
    Index("study_orders_by_order", "order_id"),
)

#: The journal of people's decisions, only ever added to: ``kind`` is order, patient, dismiss or undo.
study_decisions = Table(
    "study_decisions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("study", _ID, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("who", String(128), nullable=False),
    Column("decided", DateTime(timezone=True), nullable=False),
)
