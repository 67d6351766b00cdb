"""What an embedded site needs before its services start: folders, keys, configuration, buckets, streams."""

import asyncio
import contextlib
from importlib import resources
from pathlib import Path

import yaml

from cli.embedded.plan import overlaid_plan
from cli.embedded.ports import CLOUDS, Ports
from cli.embedded.servers import credentials
from cli.site import Site, write_atomically
from shared.identity import SiteKey
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from shared.storage.administration import ensure_bucket
from shared.storage.errors import StoreRefused, StoreUnavailable
from shared.storage.targets import load_targets

_WAIT = 60.0
_PAUSE = 0.25


def prepare(site: Site, ports: Ports) -> None:
    """Make folders, the site key, ``targets.yaml`` and ``policy.yaml``; what is there already is kept."""
    for folder in (
        site.run,
        site.logs,
        site.traces,
        site.config,
        site.databases,
        site.stores,
        site.spool,
        site.stopped,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (site.secrets, site.keks, site.secrets / "projects"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    SiteKey.create(site.site_key)
    write_atomically(site.targets, yaml.safe_dump(targets(site, ports), sort_keys=False), mode=0o600)
    if not site.policy.exists():
        write_atomically(site.policy, _sample("policy.yaml"))


def _sample(name: str) -> str:
    """A file that ships with the command."""
    return (resources.files("cli.embedded") / name).read_text()


def targets(site: Site, ports: Ports) -> dict[str, object]:
    """``targets.yaml`` of an embedded site: a folder on site and two S3 clouds on loopback."""
    onsite = {
        "kind": "filesystem",
        "url": f"file://{(site.stores / 'onsite').resolve()}",
        "jurisdiction": "site",
        "tiers": {"hot": "STANDARD"},
        "forms": ["identified"],
    }
    clouds = {name: _cloud(site, name, ports.clouds[name][0]) for name in CLOUDS}
    for name in CLOUDS:
        credentials(site, name)
    return {"targets": {"onsite": onsite, **clouds}}


def _cloud(site: Site, name: str, port: int) -> dict[str, object]:
    return {
        "kind": "s3",
        "endpoint": f"http://127.0.0.1:{port}",
        "bucket": f"causeway-{name}",
        "region": "us-east-1",
        "jurisdiction": "example",
        "tiers": {"hot": "STANDARD"},
        "forms": ["identified", "deidentified"],
        "credentials_file": str((site.secrets / f"{name}.json").resolve()),
    }


async def provision(site: Site, ports: Ports) -> None:
    """Make streams, consumers and the on-site folders, waiting for the bus to come up; safe to repeat.

    TimeoutError when it does not.
    """
    settings = ServiceSettings(nats_url=f"nats://127.0.0.1:{ports.nats}")
    places = load_targets(site.targets)
    await provision_site(settings, overlaid_plan(site.streams), {"target": list(places)}, wait=_WAIT)
    await ensure_bucket(places["onsite"])


async def ensure_cloud(site: Site, name: str) -> None:
    """Make the buckets of one cloud, however long it takes to come up."""
    while True:
        with contextlib.suppress(StoreUnavailable, StoreRefused):
            await ensure_bucket(load_targets(site.targets)[name])
            return
        await asyncio.sleep(_PAUSE)


def sample_policy() -> Path:
    """Where the shipped policy lies."""
    return Path(str(resources.files("cli.embedded") / "policy.yaml"))
