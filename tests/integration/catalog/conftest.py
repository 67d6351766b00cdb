"""An empty index on each of the databases, and what is put into it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.sql.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Database]:
    """An empty index."""
    sqlite = f"sqlite:///{tmp_path}/catalog.sqlite3"
    made = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres"))
    await made.migrate("services.catalog.migrations")
    yield made
    await made.close()
