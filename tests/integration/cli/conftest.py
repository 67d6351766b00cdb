"""A site of which only the bus runs, and the command on it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import app
from cli.site import Site
from tests.support.nats import NatsServer

Causeway = Callable[..., Result]


def folder_of(folder: Path, nats_url: str, http: str = "http://127.0.0.1:9") -> Site:
    """The folder of a site whose bus is at ``nats_url``, with two targets."""
    site = Site(folder)
    for place in (site.run, site.config):
        place.mkdir(parents=True)
    endpoints = {"dicom": "127.0.0.1:9", "mllp": "127.0.0.1:9", "http": http, "nats": nats_url}
    site.state_file.write_text(json.dumps({"ready": True, "endpoints": endpoints, "services": {}, "processes": {}}))
    target = {"kind": "filesystem", "jurisdiction": "site", "forms": ["identified"]}
    targets = {name: {**target, "url": f"file://{folder}/{name}"} for name in ("onsite", "other")}
    site.targets.write_text(yaml.safe_dump({"targets": targets}))
    return site


@pytest.fixture
def site(nats_server: NatsServer, tmp_path: Path) -> Site:
    """A site on a bus that has nothing yet."""
    return folder_of(tmp_path / "site", nats_server.url)


@pytest.fixture
def causeway(site: Site) -> Causeway:
    """``causeway WORDS… --data`` that site."""

    def run(*words: str, **options: object) -> Result:
        return CliRunner().invoke(app, [*words, "--data", str(site.data)], **options)  # type: ignore[arg-type]

    return run
