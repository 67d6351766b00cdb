"""The tables of forwarding (migrations/)."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from shared.messaging.outbox import outbox_table

metadata = MetaData()
outbox = outbox_table(metadata)

_ID = String(64)
_NAME = String(64)

#: One row for each instance at each destination; of a failed one what finds it again.
forwarded = Table(
    "forwarded",
    metadata,
    Column("destination", _NAME, primary_key=True),
    Column("instance", String(32), primary_key=True),
    Column("batch_id", _ID, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Column("reason", String(64)),
    Column("sop_instance_uid", String(128)),
    Index("forwarded_batch", "destination", "batch_id"),
)

#: One row for each batch that was settled. ``document`` is its event, ``closed`` (seconds since 1970) when it was
#: complete, ``asked`` whether it shall be tried again, and ``claimed_until`` (as ``closed``) whether a process does so.
batch = Table(
    "batch",
    metadata,
    Column("destination", _NAME, primary_key=True),
    Column("batch_id", _ID, primary_key=True),
    Column("delivered", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("claimed_until", Float, nullable=False),
    Column("document", Text, nullable=False),
    Column("closed", Float, nullable=False, server_default="0"),
    Index("batch_asked", "destination", "asked"),
)

#: What operators decided (``held``, NULL for what the file says), and where the queue stands: since when its oldest
#: batch has been waiting, and since when and why the destination has been away. Times are seconds since 1970.
destination = Table(
    "destination",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("held", Boolean),
    Column("oldest", Float),
    Column("away", String(64)),
    Column("away_since", Float),
)

#: The identified copies of a batch that were proven when it was archived: JSON.
archived = Table(
    "archived",
    metadata,
    Column("batch_id", _ID, primary_key=True),
    Column("document", Text, nullable=False),
)

#: One row for each notice to a RIS from its first attempt on: ``position`` is its fact's in the stream, ``delivered``
#: NULL while it has not ended. ``asked`` and ``claimed_until`` are as in ``batch``.
notice = Table(
    "notice",
    metadata,
    Column("destination", _NAME, primary_key=True),
    Column("notice", _ID, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("ref", _ID, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sop_instance_uid", String(128)),
    Column("delivered", Boolean),
    Column("reason", String(64)),
    Column("asked", Boolean, nullable=False),
    Column("claimed_until", Float, nullable=False),
    Column("subject", String(128), nullable=False),
    Column("document", Text, nullable=False),
    Index("notice_asked", "destination", "asked", "position"),
)
