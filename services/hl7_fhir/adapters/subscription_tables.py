"""The tables of subscriptions: who wants to hear what, what there is to hear, and how far each has heard it."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Float, Index, Integer, LargeBinary, String, Table, Text

from services.hl7_fhir.adapters.tables import metadata

#: One row per subscription; times that are only compared are seconds since 1970.
#:
#: ``body`` is the resource without what the server decides, ``headers`` the encrypted values of channel.header. Changes
#: after ``since`` concern it; ``events`` of them matched so far, all up to ``delivered`` are known to have arrived.
#: Whoever sends holds a claim; ``retry_at`` is when it may be tried again after ``attempts`` failures since
#: ``failing_since``.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated", DateTime(timezone=True), nullable=False),
    Column("creator", String(128), nullable=False),
    Column("base", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", String(64), nullable=True),
    Column("channel", String(16), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("headers", LargeBinary, nullable=True),
    Column("ends", Float, nullable=True),
    Column("since", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", Float, nullable=True),
    Column("retry_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=True),
    Column("claimed_by", String(64), nullable=True),
    Column("claimed_until", Float, nullable=False),
)

#: The events of each subscription, numbered from 1 without a gap; ``change`` is the number in the feed.
subscription_events = Table(
    "subscription_events",
    metadata,
    Column("subscription", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("change", BigInteger, nullable=False),
    Column("type", String(32), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("created", Boolean, nullable=False),
    Index("subscription_events_change", "subscription", "change", unique=True),
    Index("subscription_events_at", "at"),
)

#: How far the feed has been read; one row.
subscription_feed = Table(
    "subscription_feed",
    metadata,
    Column("reader", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

#: Tokens that bind a websocket, by their SHA-256; ``subscriptions`` is a list in JSON.
subscription_tokens = Table(
    "subscription_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("subscriptions", Text, nullable=False),
    Column("expires", Float, nullable=False),
)
