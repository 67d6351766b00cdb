"""The tables of verification (migrations/0001_initial.py)."""

from sqlalchemy import Column, DateTime, Float, Index, Integer, MetaData, String, Table, Text

from shared.messaging.inbox import inbox_table
from shared.messaging.outbox import outbox_table

metadata = MetaData()
inbox = inbox_table(metadata)
outbox = outbox_table(metadata)

#: One row for each generation of each copy. ``due`` is when it is read again, in seconds since 1970; NULL for never.
copies = Table(
    "copies",
    metadata,
    Column("sealed_id", String(64), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("study_ref", String(64)),
    Column("state", String(16), nullable=False),
    Column("copy_key", Text, nullable=False),
    Column("sealed", Text),
    Column("written", DateTime(timezone=True)),
    Column("proven", DateTime(timezone=True)),
    Column("proofs", Integer, nullable=False, default=0),
    Column("due", Float),
    Index("copies_due", "target", "due"),
    Index("copies_study", "study_ref"),
)
