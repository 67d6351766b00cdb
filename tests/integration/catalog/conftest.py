"""An empty index on each of the databases, and what is put into it."""

from collections.abc import AsyncIterator

import pytest

from shared.sql.database import Database
from tests.support.databases import Migrated


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, migrated: Migrated) -> str:
    """The URL of an empty index."""
    return migrated(request.param, "catalog")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty index."""
    made = Database(url)
    yield made
    await made.close()
