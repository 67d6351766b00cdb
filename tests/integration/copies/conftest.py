"""A site of three targets in folders."""

from pathlib import Path

import pytest

from tests.integration.copies.site import Site
from tests.support.nats import NatsServer


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> Site:
    """``onsite``, ``cloud-a`` and ``cloud-b``."""
    clouds = {
        name: {
            "kind": "filesystem",
            "url": f"file://{tmp_path / name}",
            "jurisdiction": "de",
            "tiers": {"hot": "STANDARD", "cold": "STANDARD"},
            "forms": ["identified", "deidentified"],
        }
        for name in ("cloud-a", "cloud-b")
    }
    return Site(tmp_path, nats_server, clouds)
