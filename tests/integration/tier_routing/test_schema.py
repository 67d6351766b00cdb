"""The migrations make exactly the tables that the code uses."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.tier_routing.adapters.tables import metadata
from tests.integration.tier_routing.conftest import Site


async def test_the_migrations_and_the_tables_agree(site: Site):
    def difference(connection):
        own = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        )
        return compare_metadata(own, metadata)

    assert await site.database.read(difference) == []
