"""The lock under which everything is written that readers of the feed see."""

from sqlalchemy import Connection, text

#: The first key of the advisory lock (the second is 0).
FEED_LOCK = 2576

_IN_TURN = text("SELECT pg_advisory_xact_lock(:space, 0)")


def lock_feed(connection: Connection) -> None:
    """On PostgreSQL, let all other writers wait until the end of the transaction; SQLite has one writer anyway.

    To be called before anything is read that is written after it; whoever writes a version takes it at the latest then.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_IN_TURN, {"space": FEED_LOCK})
