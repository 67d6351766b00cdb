"""The tables of what goes on to receivers: a queue for each, where it stands, and what was told already."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table

from services.hl7_fhir.adapters.tables import metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")

#: A message that waits (``state`` 0) or was set aside (1) for one receiver, sent by ``number``; a delivered one has no
#: row. ``sequence`` is that of ``messages`` for one that is passed on, ``content`` the bytes of one of our own. Times
#: in seconds since 1970.
outgoing = Table(
    "outgoing",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("receiver", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sequence", BigInteger, nullable=True),
    Column("ref", String(32), nullable=False),
    Column("content", LargeBinary, nullable=True),
    Column("queued", Float, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", String(64), nullable=True),
    Index("outgoing_next", "receiver", "state", "number"),
    Index("outgoing_sequence", "sequence"),
    sqlite_autoincrement=True,
)

#: Where a queue stands: an operator's word (``held``, None: the file's), who sends until when, and how it goes.
receivers = Table(
    "receivers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("held", Boolean, nullable=True),
    Column("holder", String(64), nullable=False),
    Column("expires", Float, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("away", String(64), nullable=True),
    Column("away_since", Float, nullable=True),
)

#: The control ids of our own messages that were queued once, and when (seconds since 1970): what is told again is not
#: told twice.
told = Table(
    "outgoing_told",
    metadata,
    Column("ref", String(32), primary_key=True),
    Column("at", Float, nullable=False, server_default="0", index=True),
)
