"""The tables of the index. Times are seconds since 1970; documents are JSON text."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

from services.catalog.adapters.lease import lease_table
from shared.messaging.outbox import outbox_table

metadata = MetaData()

_UID = String(128)
_ID = String(64)

study = Table(
    "study",
    metadata,
    Column("study_uid", _UID, primary_key=True),
    Column("study_ref", _ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    # What is to be said next, and from when on; NULL while that depends on what happens.
    Column("step", String(16)),
    Column("due", Float),
    Column("first_event", Float, nullable=False),
    Column("last_event", Float, nullable=False),
    Column("completed", Float),
    Column("archived", Float),
    Column("quiet", Float, nullable=False),
    Column("expected", Integer),
    Column("accession_token", _ID),
    Column("patient_id", Text),
    Column("patient_issuer", Text),
    Column("patient_name", Text),
    Column("birth_date", Text),
    Column("sex", Text),
    Column("study_date", Text),
    Column("study_time", Text),
    Column("accession", Text),
    Column("study_id", Text),
    Column("description", Text),
    Column("referring", Text),
    Column("attributes", Text, nullable=False),
    Index("study_by_step", "step", "due", "last_event"),
    Index("study_by_patient", "patient_id"),
    Index("study_by_accession", "accession"),
    Index("study_by_date", "study_date"),
    Index("study_by_ref", "study_ref"),
)

#: The match tokens of the study's instances by ``kind`` (patient, accession): more than one where they contradict.
study_token = Table(
    "study_token",
    metadata,
    Column("study_uid", _UID, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("token", _ID, primary_key=True),
    Index("study_by_token", "kind", "token"),
)

series = Table(
    "series",
    metadata,
    Column("study_uid", _UID, primary_key=True),
    Column("series_uid", _UID, primary_key=True),
    Column("modality", Text),
    Column("series_number", Text),
    Column("series_description", Text),
    Column("body_part", Text),
    Column("station", Text),
    Column("step_date", Text),
    Column("step_time", Text),
    Column("attributes", Text, nullable=False),
    Index("series_by_modality", "modality"),
)

#: The requests that a series answers (Request Attributes Sequence), by their number in the first of its headers.
request = Table(
    "request",
    metadata,
    Column("study_uid", _UID, primary_key=True),
    Column("series_uid", _UID, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step_id", Text),
    Column("procedure_id", Text),
    Index("request_by_step", "step_id"),
    Index("request_by_procedure", "procedure_id"),
)

instance = Table(
    "instance",
    metadata,
    Column("identity", LargeBinary(16), primary_key=True),
    Column("sop_uid", _UID, nullable=False),
    Column("study_uid", _UID),
    Column("series_uid", _UID),
    Column("batch_id", _ID, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sop_class", _UID, nullable=False),
    Column("transfer_syntax", _UID, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("instance_number", Text),
    Column("size", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
    Index("instance_by_sop", "sop_uid", "version", unique=True),
    Index("instance_by_series", "study_uid", "series_uid"),
)

batch = Table(
    "batch",
    metadata,
    Column("batch_id", _ID, primary_key=True),
    Column("study_uid", _UID),
    Column("study_ref", _ID, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("closed", Float, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("withheld", Integer, nullable=False),
    Index("batch_by_study", "study_uid", "archived"),
    Index("batch_by_closed", "closed"),
)

pack_entry = Table(
    "pack_entry",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("entry", Integer, primary_key=True),
    Column("identity", LargeBinary(16), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("pack_entry_by_identity", "identity"),
)

sealed = Table(
    "sealed",
    metadata,
    Column("sealed_id", _ID, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("form", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Index("sealed_by_pack", "pack_id"),
)

copy = Table(
    "copy",
    metadata,
    Column("sealed_id", _ID, primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("form", String(16), nullable=False),
    Column("tier", String(64), nullable=False),
    Column("keys", Text, nullable=False),
    Column("written", Float),
    Column("proven", Float),
    Column("level", String(16)),
    Column("damaged", Float),
    Column("removed", Float),
    Index("copy_by_pack", "pack_id"),
)

#: De-identified packs that were called back, and when (seconds since 1970): none of their copies counts any more.
recalled_pack = Table(
    "recalled_pack",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("profile_version", String(64), nullable=False),
    Column("recalled", Float, nullable=False),
)

#: What de-identified packs were made of: of which planned pack, for which project, in its newest run, as which part.
deidentified_pack = Table(
    "deidentified_pack",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("source_pack_id", _ID, nullable=False),
    Column("project", String(64), nullable=False),
    Column("run", Integer, nullable=False),
    Column("part", Integer, nullable=False),
)

#: What did not go out of a planned pack in its newest run. A later run, or a person, may have let it go since.
withheld = Table(
    "withheld",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("sop_uid", _UID, primary_key=True),
    Column("dataset_sha256", String(64), primary_key=True),
    Column("reason", String(64), nullable=False),
    Column("run", Integer, nullable=False, server_default="0"),
    Index("withheld_by_sop", "sop_uid"),
)

ordered = Table(
    "ordered",
    metadata,
    Column("order_ref", _ID, primary_key=True),
    Column("accession_token", _ID),
    Column("study_uid", _UID),
    Column("cancelled", Boolean, nullable=False),
    Index("ordered_by_accession", "accession_token"),
    Index("ordered_by_study", "study_uid"),
)

#: Procedure steps after their newest report, the studies that they are for, and the instances that they made, as the
#: report number ``told`` named them (0 where none did).
step = Table(
    "step",
    metadata,
    Column("step_ref", _ID, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    Column("state", String(16), nullable=False),
)

step_study = Table(
    "step_study",
    metadata,
    Column("step_ref", _ID, primary_key=True),
    Column("study_uid", _UID, primary_key=True),
    Index("step_by_study", "study_uid"),
)

step_instance = Table(
    "step_instance",
    metadata,
    Column("step_ref", _ID, primary_key=True),
    Column("sop_uid", _UID, primary_key=True),
)

#: Which patient's token stands for which one since their records were merged.
merged_patient = Table(
    "merged_patient",
    metadata,
    Column("token", _ID, primary_key=True),
    Column("survivor", _ID, nullable=False),
    Index("merged_by_survivor", "survivor"),
)

outbox = outbox_table(metadata)
lease = lease_table(metadata)
