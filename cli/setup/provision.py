"""Streams, consumers and buckets of a site of containers: whatever the contracts and ``targets.yaml`` say."""

import asyncio
import sys
import time
from pathlib import Path

from cli.destinations_file import destination_names
from cli.embedded.plan import overlaid_plan
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from shared.storage.administration import ensure_bucket
from shared.storage.errors import StoreRefused, StoreUnavailable
from shared.storage.targets import Target, load_targets

_PAUSE = 1.0


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    targets_file: Path = Path("examples/targets.yaml")
    #: Who is forwarded to; nobody without the file.
    destinations_file: Path = Path("examples/destinations.yaml")
    #: What the site sets of streams; without it the file ``streams.yaml`` beside the targets, where there is one.
    streams_file: Path | None = None
    #: Copies of each stream: 1 on one server, 3 in a cluster.
    stream_replicas: int | None = None
    #: Seconds that the bus, and then the targets, may take to come up.
    provision_wait: float = 120.0


async def provision(settings: Settings, *, prune: bool = False) -> list[str]:
    """Make everything; the names of targets that did not answer in time. TimeoutError when the bus did not."""
    beside = settings.targets_file.with_name("streams.yaml")
    plan = overlaid_plan(settings.streams_file or beside, settings.stream_replicas)
    targets = load_targets(settings.targets_file)
    wait = settings.provision_wait
    parameters = {"target": list(targets), "destination": destination_names(settings.destinations_file)}
    changes = await provision_site(settings, plan, parameters, wait=wait, prune=prune)
    for change in changes:
        if change.how != "kept":
            sys.stdout.write(f"{change.what} {change.name}: {change.how}\n")
    deadline = time.monotonic() + wait
    made = await asyncio.gather(*(_ensure(target, deadline) for target in targets.values()))
    return [name for name, well in zip(targets, made, strict=True) if not well]


async def _ensure(target: Target, deadline: float) -> bool:
    """Make the target's buckets; False when it does not let us until ``deadline``."""
    while True:
        try:
            await ensure_bucket(target)
        except (StoreUnavailable, StoreRefused):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_PAUSE)
        else:
            return True
