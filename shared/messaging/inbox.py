"""The inbox: which events a service has taken in, in the database of their effect.

An event is taken in and its effect made in one transaction, so that a second delivery, a replay or a repeat after the
stream's duplicate window finds the row and changes nothing.
"""

from datetime import UTC, datetime

from sqlalchemy import Column, Connection, DateTime, MetaData, String, Table, delete
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def inbox_table(metadata: MetaData) -> Table:
    """The table ``inbox``; a migration makes it with ``inbox_table(MetaData()).create(connection)``."""
    return Table(
        "inbox",
        metadata,
        Column("event_id", String(64), primary_key=True),
        Column("handler", String(64), primary_key=True),
        Column("seen", DateTime(timezone=True), nullable=False, index=True),
    )


class Inbox:
    """The inbox in ``table``."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def seen(self, connection: Connection, event_id: str, handler: str) -> bool:
        """Take the event in for ``handler``; True when it was in already (then there is nothing left to do)."""
        insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
        row = {"event_id": event_id, "handler": handler, "seen": datetime.now(UTC)}
        taken = insert(self._table).values(row).on_conflict_do_nothing().returning(self._table.c.event_id)
        return connection.execute(taken).first() is None

    def forget(self, connection: Connection, event_id: str, handler: str) -> None:
        """Let the event be taken in again."""
        rows = (self._table.c.event_id == event_id) & (self._table.c.handler == handler)
        connection.execute(delete(self._table).where(rows))

    def forget_before(self, connection: Connection, moment: datetime) -> int:
        """Drop the rows older than ``moment``, which must be older than the stream keeps its events; their number."""
        return connection.execute(delete(self._table).where(self._table.c.seen < moment)).rowcount
