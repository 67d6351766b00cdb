"""The tables of what the maps left behind. Messages of one kind lose the same fields: a set of names is kept once."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, String, Table, Text

from services.hl7_fhir.adapters.tables import metadata

#: Names of fields that a message lost, between spaces; ``id`` is their digest.
loss_sets = Table(
    "loss_sets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("fields", Text, nullable=False),
    Column("size", Integer, nullable=False),
)

#: What each message lost, by its ref.
losses = Table(
    "losses",
    metadata,
    Column("ref", String(32), primary_key=True),
    Column("set_id", String(32), nullable=False),
)

#: How many messages of a sender (MSH-3) lost a set of fields, and since when the last did.
loss_counts = Table(
    "loss_counts",
    metadata,
    Column("sender", String(227), primary_key=True),
    Column("set_id", String(32), primary_key=True),
    Column("messages", BigInteger, nullable=False),
    Column("last", DateTime(timezone=True), nullable=False),
)
