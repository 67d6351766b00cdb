"""The site of these tests."""

from pathlib import Path

import pytest

from tests.integration.deid.site import DeidSite
from tests.support.nats import NatsServer


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> DeidSite:
    """One target, in a folder."""
    return DeidSite(tmp_path, nats_server)
