"""An empty index on each of the databases, and what is put into it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.sql.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    sqlite = f"sqlite:///{tmp_path}/catalog.sqlite3"
    return sqlite if request.param == "sqlite" else str(request.getfixturevalue("postgres"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty index."""
    made = Database(url)
    await made.migrate("services.catalog.migrations")
    yield made
    await made.close()
