"""The site of these tests, and an empty register on each of the databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.sql import Database
from tests.integration.deid.site import DeidSite
from tests.support.nats import NatsServer


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> DeidSite:
    """One target, in a folder."""
    return DeidSite(tmp_path, nats_server)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Without a row."""
    sqlite = f"sqlite:///{tmp_path}/deid.sqlite3"
    made = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres"))
    await made.migrate("services.deid.migrations")
    yield made
    await made.close()
