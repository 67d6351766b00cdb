"""A site with dicom_ingest."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.dicom_ingest.site import IngestSite
from tests.support.nats import NatsServer


@pytest.fixture
async def site(request: pytest.FixtureRequest, tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[IngestSite]:
    """A provisioned site; the service is not started yet. The parameter is its receiver."""
    site = IngestSite(tmp_path, nats_server, getattr(request, "param", "fast"))
    await site.provision()
    yield site
    if site.process is not None:
        site.process.kill()


@pytest.fixture(autouse=True)
def _needs_dcmtk(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("dcmtk") and shutil.which("storescu") is None:
        pytest.skip("no dcmtk: apt-get install dcmtk")
