"""A site with forwarding, and real systems behind it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.forwarding.orthanc import Orthanc
from tests.integration.forwarding.site import ForwardingSite, StoreScp
from tests.support.nats import NatsServer


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> ForwardingSite:
    """Nothing is provisioned or started yet."""
    return ForwardingSite(tmp_path, nats_server)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An empty Orthanc, started; skips without one."""
    one = Orthanc(tmp_path)
    one.server.start(timeout=60)
    yield one
    one.server.kill()


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., StoreScp]]:
    """Makes receivers of dcmtk, started; skips without dcmtk."""
    if shutil.which("storescp") is None:
        pytest.skip("no dcmtk: apt-get install dcmtk")
    made: list[StoreScp] = []

    def make(name: str = "pacs", port: int | None = None, *options: str) -> StoreScp:
        made.append(StoreScp(tmp_path / name, port, *options))
        made[-1].server.start(timeout=60)
        return made[-1]

    yield make
    for one in made:
        one.server.kill()
