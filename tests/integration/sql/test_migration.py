"""Schemas grow by migrations, on both engines."""

import asyncio

import pytest
from sqlalchemy import Connection, inspect, text

from shared.sql import StatementRefused

VERSIONS = "tests.integration.sql.versions"
BROKEN = "tests.integration.sql.broken"


def rows(connection: Connection) -> list[tuple[str, int, str]]:
    return [tuple(row) for row in connection.execute(text("SELECT name, value, note FROM counter"))]


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_brings_the_newest_schema_once(database):
    """All versions are applied in their order; a second time does nothing."""
    await database.migrate(VERSIONS)
    await database.migrate(VERSIONS)
    assert await database.read(rows) == [("made", 1, "none")]


async def test_replicas_that_start_together_migrate_once(another):
    """Several processes migrate at the same moment, and the schema is made once."""
    await asyncio.gather(*(another().migrate(VERSIONS) for _ in range(5)))
    assert await another().read(rows) == [("made", 1, "none")]


async def test_a_failed_migration_leaves_nothing(database):
    """A migration that fails half-way is undone whole, so that the next start tries it again."""
    with pytest.raises(StatementRefused):
        await database.migrate(BROKEN)
    assert await database.read(tables) == set()
    await database.migrate(VERSIONS)


async def test_services_may_share_a_database(database):
    """Each package keeps its own version, under its own name."""
    await database.migrate(VERSIONS)
    assert "tests_integration_sql_versions" in await database.read(tables)
