"""The tables of de-identification. What is here stays on site: it is what relates pseudonyms to people."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from shared.messaging.outbox import outbox_table

metadata = MetaData()

_ID = String(64)
_UID = String(128)
_PROJECT = String(64)

#: kind is ``patient`` (issuer and Patient ID), ``study`` or ``series`` (UIDs); instances are in the links documents.
identity = Table(
    "identity",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("token", _ID, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("original", Text, nullable=False),
    Column("replacement", _UID, nullable=False),
    Index("identity_by_replacement", "project", "replacement"),
)

#: ``asked`` is when the newest run of its plan was told, ``released`` whether its bytes are gone from the work area.
result = Table(
    "result",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("edition", String(16), nullable=False),
    Column("asked", Float, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("result_by_pack", "pack_id"),
)

#: ``archived`` is when the ledger last said so, NULL before it does. Times are seconds since 1970.
result_batch = Table(
    "result_batch",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("batch_id", _ID, primary_key=True),
    Column("archived", Float),
    Index("result_batch_by_batch", "batch_id"),
)

withheld = Table(
    "withheld",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("sop_instance_uid", _UID, primary_key=True),
    Column("dataset_sha256", _ID, primary_key=True),
    Column("study_ref", _ID, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)

#: Copies of packs in either form: when they were last proven, and last found damaged or removed.
known_copy = Table(
    "known_copy",
    metadata,
    Column("sealed_id", _ID, primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("proven", Float),
    Column("lost", Float),
    Column("document", Text, nullable=False),
    Index("known_copy_by_pack", "pack_id"),
)

outbox = outbox_table(metadata)
