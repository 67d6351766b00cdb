"""A provisioned bus."""

import pytest

from tests.support.nats import NatsServer
from tests.support.services import provision_for_tests


@pytest.fixture
async def bus(nats_server: NatsServer) -> NatsServer:
    """A server with the streams and consumers of the tests."""
    await provision_for_tests(nats_server)
    return nats_server
