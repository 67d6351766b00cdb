"""The migrations make exactly the tables that the code uses."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.deid.adapters.tables import metadata
from shared.sql import Database


async def test_the_migrations_and_the_tables_agree(database: Database) -> None:
    def difference(connection: Connection) -> Any:
        own = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        )
        return compare_metadata(own, metadata)

    assert await database.read(difference) == []
