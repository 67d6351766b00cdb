"""The site of these tests, and an empty register on each of the databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.sql import Database
from tests.integration.deid.site import DeidSite
from tests.support.databases import Migrated
from tests.support.nats import NatsServer


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> DeidSite:
    """One target, in a folder."""
    return DeidSite(tmp_path, nats_server)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Database]:
    """Without a row."""
    made = Database(migrated(request.param, "deid"))
    yield made
    await made.close()
