"""The same empty database in SQLite and in PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.sql import Database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return request.getfixturevalue("postgres")


@pytest.fixture
async def another(url: str) -> AsyncIterator[Callable[[], Database]]:
    """Opens the database once more, as another process would."""
    opened: list[Database] = []

    def one_more() -> Database:
        opened.append(Database(url))
        return opened[-1]

    yield one_more
    for database in opened:
        await database.close()


@pytest.fixture
async def database(another: Callable[[], Database]) -> Database:
    """An empty database; every test of the suite runs once with each engine."""
    return another()
