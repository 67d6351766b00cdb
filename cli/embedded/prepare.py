"""What an embedded site needs before its services start: folders, keys, configuration, buckets, streams."""

import asyncio
import contextlib
from importlib import resources
from pathlib import Path

from cli.destinations_file import destination_names
from cli.embedded.plan import overlaid_plan
from cli.embedded.ports import CLOUDS, Ports
from cli.embedded.targets import write_targets
from cli.site import Site, write_atomically
from shared.identity import SiteKey
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from shared.storage.administration import ensure_bucket
from shared.storage.errors import StoreRefused, StoreUnavailable
from shared.storage.targets import load_targets

_WAIT = 60.0
_PAUSE = 0.25
_LONGEST_PAUSE = 30.0


def prepare(site: Site, ports: Ports) -> None:
    """Make folders, the site key, ``targets.yaml``, ``policy.yaml``, ``senders.yaml``; what is there already is kept.

    Of ``targets.yaml`` only the stand-ins' ports and paths follow the site. A site that is new gets the recommended
    profile for the one research project of its policy; one that is not keeps what it did before.
    """
    for folder in (
        site.run,
        site.logs,
        site.traces,
        site.profiles,
        site.databases,
        site.stores,
        site.spool,
        site.stopped,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (site.secrets, site.keks, site.secrets / "projects"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    SiteKey.create(site.site_key)
    write_targets(site, ports)
    if not site.policy.exists():
        write_atomically(site.profiles / "research.yaml", _sample("research.yaml"))
        write_atomically(site.policy, _sample("policy.yaml"))
    if not site.senders.exists():
        write_atomically(site.senders, _sample("senders.yaml"))


def _sample(name: str) -> str:
    """A file that ships with the command."""
    return (resources.files("cli.embedded") / name).read_text()


async def provision(site: Site, ports: Ports) -> None:
    """Make streams, consumers and the folders of targets, waiting for the bus to come up; safe to repeat.

    TimeoutError when it does not.
    """
    settings = ServiceSettings(nats_url=f"nats://127.0.0.1:{ports.nats}")
    places = load_targets(site.targets)
    parameters = {"target": list(places), "destination": destination_names(site.destinations)}
    await provision_site(settings, overlaid_plan(site.streams), parameters, wait=_WAIT)
    for place in places.values():
        if place.kind == "filesystem":
            await ensure_bucket(place)


async def ensure_cloud(site: Site, name: str) -> None:
    """Make the buckets of one cloud, however long it takes to come up; nothing when it is no target any more."""
    pause = _PAUSE
    while (target := load_targets(site.targets).get(name)) is not None:
        with contextlib.suppress(StoreUnavailable, StoreRefused):
            await ensure_bucket(target)
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE)


def other_clouds(site: Site) -> list[str]:
    """The clouds that somebody added to the stand-ins."""
    found = load_targets(site.targets)
    return [name for name, target in found.items() if target.kind != "filesystem" and name not in CLOUDS]


def sample_policy() -> Path:
    """Where the shipped policy lies."""
    return Path(str(resources.files("cli.embedded") / "policy.yaml"))
