"""The lock under which everything is written that readers of the feed see."""

from sqlalchemy import Connection, text

from services.hl7_fhir.adapters.resources import FEED_LOCK

_IN_TURN = text("SELECT pg_advisory_xact_lock(:space, 0)")


def lock_feed(connection: Connection) -> None:
    """On PostgreSQL, let all other writers wait until the end of the transaction; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(_IN_TURN, {"space": FEED_LOCK})
