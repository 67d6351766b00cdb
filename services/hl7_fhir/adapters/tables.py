"""The tables of this service: messages as received, resources as they are now, and every version they had."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.messaging.outbox import outbox_table

metadata = MetaData()

#: The condition of the index of messages with which something is left to do.
IS_OPEN = text("state <> 'done'")
#: The condition of the index of messages that a person may want to look at.
IS_FLAGGED = text("flags <> ''")
_HAS_CONTENT, _HAS_NONE = text("content IS NOT NULL"), text("content IS NULL")
#: The condition of the index of messages that were refused for their content.
IS_AE = text("code = 'AE'")

#: One row per message. ``sequence`` gives the order of receipt; ``ref`` is the token of name and bytes, ``name`` that
#: of MSH-3, MSH-4 and MSH-10 (a token, since the fields have no bound that an index would need). ``content`` holds the
#: exact bytes, encrypted unless ``sealed`` is false (older rows), and nothing once their time of keeping is over.
#: ``state`` as in ``domain/intake/keeping.py``; ``origin`` is the sender's name in the registry, ``corrects`` the ref
#: of the message in whose place a person sent this one, ``peer`` the address that it came from.
messages = Table(
    "messages",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("ref", String(32), nullable=False, unique=True),
    Column("name", String(32), nullable=False, index=True),
    Column("received", DateTime(timezone=True), nullable=False),
    Column("sender", Text, nullable=False),
    Column("facility", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("trigger_event", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=True),
    Column("sealed", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
    Column("code", String(2), nullable=False),
    Column("reason", Text, nullable=True),
    Column("place", Text, nullable=True),
    Column("mapped", Boolean, nullable=False),
    Column("flags", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("corrects", String(32), nullable=True),
    Column("peer", String(64), nullable=False, server_default=""),
    # What is not done is found at once among millions that are.
    Index("messages_open", "state", "sequence", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    Index("messages_flagged", "sequence", sqlite_where=IS_FLAGGED, postgresql_where=IS_FLAGGED),
    Index("messages_kept", "received", sqlite_where=_HAS_CONTENT, postgresql_where=_HAS_CONTENT),
    Index("messages_gone", "received", sqlite_where=_HAS_NONE, postgresql_where=_HAS_NONE),
    # With their sizes: SQLite would read through every content to find them in the rows.
    Index("messages_refused", "origin", "peer", "sequence", "size", "code", sqlite_where=IS_AE, postgresql_where=IS_AE),
)

#: A patient or an order as now known. ``record`` is what was said field by field, ``body`` the FHIR resource without
#: id and meta; ``patient`` is the id of an order's Patient. ``number`` stays the same for all its versions, ``present``
#: is the mask of the search parameters that it has values for.
resources = Table(
    "resources",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("type", String(32), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", DateTime(timezone=True), nullable=False),
    Column("message_ref", String(32), nullable=False),
    Column("patient", String(64), nullable=True),
    Column("present", BigInteger, nullable=False, server_default="0"),
    Column("record", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("type", "id", name="resources_name"),
    Index("resources_patient", "type", "patient"),
    Index("resources_updated", "type", "updated", "number"),
)

#: Every version that a resource had, the present one included.
versions = Table(
    "versions",
    metadata,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated", DateTime(timezone=True), nullable=False),
    Column("message_ref", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Index("versions_updated", "type", "updated", "id", "version"),
)

#: Every version in the order in which they were written, for those who must hear of each: a number is never used twice.
changes = Table(
    "changes",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("type", String(32), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)

#: Which order a placer's or filler's number (``kind``) is: identity is (issuer, number).
order_numbers = Table(
    "order_numbers",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("issuer", String(256), primary_key=True),
    Column("value", String(256), primary_key=True),
    Column("id", String(64), nullable=False),
    Index("order_numbers_order", "id"),
)

#: Events that wait to be published.
outbox = outbox_table(metadata)
