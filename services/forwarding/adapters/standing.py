"""The row of a destination: what operators decided, and where its queue stands."""

from typing import Any

from sqlalchemy import Connection, select

from services.forwarding.adapters import tables
from services.forwarding.adapters.upsert import upsert
from shared.sql import Database


class DestinationRow:
    """One row of ``tables.destination``."""

    def __init__(self, name: str, database: Database) -> None:
        self._name = name
        self._database = database

    async def stands(self, **values: Any) -> None:
        """Note where the queue stands: columns of ``tables.destination``."""
        row = {"name": self._name, **values}
        await self._database.run(lambda connection: upsert(connection, tables.destination, [row]))

    async def is_held(self) -> bool | None:
        """What an operator decided; None when nobody did."""
        query = select(tables.destination.c.held).where(tables.destination.c.name == self._name)
        return await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())

    def own_row(self, connection: Connection) -> dict[str, Any]:
        """The row as it is; nothing where nobody has written it."""
        mine = select(tables.destination).where(tables.destination.c.name == self._name)
        return dict(connection.execute(mine).mappings().first() or {})
