"""Dead targets and killed services: nothing else waits, nothing is lost, nothing is there twice."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.events import CopyDamaged, CopyFailed, CopyVerified, CopyWritten, PackSealed
from tests.integration.copies.site import BUILDS, Site, objects, places, settle
from tests.support import warm
from tests.support.nats import NatsServer
from tests.support.packs import copies, planned
from tests.support.ports import free_ports
from tests.support.processes import ROOT
from tests.support.seaweed import CREDENTIALS, Seaweed
from tests.support.services import eventually


def cloud(seaweed: Seaweed, bucket: str, folder: Path) -> dict[str, Any]:
    """A bucket of ``seaweed`` with its key bucket, as targets.yaml has it."""
    seaweed.store(bucket)
    seaweed.store(f"{bucket}-keys")
    kept = folder / "credentials.json"
    kept.write_text(f'{{"access_key": "{CREDENTIALS.access}", "secret_key": "{CREDENTIALS.secret}"}}')
    kept.chmod(0o600)
    return {
        "kind": "s3",
        "bucket": bucket,
        "endpoint": seaweed.endpoint,
        "region": "us-east-1",
        "jurisdiction": "de",
        "forms": ["identified"],
        "credentials_file": str(kept),
    }


async def test_a_dead_cloud_holds_up_nothing_else(
    tmp_path: Path, nats_server: NatsServer, own_seaweed: Seaweed
) -> None:
    """The other target's copies are proven meanwhile, without dead letters; all arrives when the cloud is back."""
    site = Site(tmp_path, nats_server, {"cloud-a": cloud(own_seaweed, "hospital", tmp_path)})
    own_seaweed.server.kill()
    async with site.running():
        for number in range(6):
            plan = planned([await site.batch(seed=100 * number)], copies("onsite", "cloud-a"), f"pack{number}")
            await site.say(plan, f"plan{number}")
        await site.until(CopyVerified, lambda found: len(found) == 6)
        failed = await site.until(CopyFailed, len)
        assert {(event.copy_key.target, event.reason, event.retrying) for event in failed} == {
            ("cloud-a", "target-unreachable", True)
        }
        await settle(3)
        assert places(await site.said(CopyVerified)) == {("onsite", 1)}
        assert len(await site.said(CopyFailed)) <= 6
        own_seaweed.server.start()
        await site.until(CopyVerified, lambda found: len(found) == 12, within=60)
    assert places(await site.said(CopyVerified)) == {("onsite", 1), ("cloud-a", 1)}
    assert await site.said(CopyDamaged) == []
    assert await site.dead_letters() == 0


async def test_a_frozen_cloud_is_never_called_damaged(
    tmp_path: Path, nats_server: NatsServer, own_seaweed: Seaweed
) -> None:
    """It dies between the writing and the proof: the proof waits, and is made when the cloud is back."""
    site = Site(tmp_path, nats_server, {"cloud-a": cloud(own_seaweed, "hospital", tmp_path)})
    async with site.running("encryption", "replication"):
        await site.say(planned([await site.batch()], copies("cloud-a")), "plan")
        await site.until(CopyWritten, len)
    own_seaweed.server.kill()
    async with site.running("verification"):
        await settle(2)
        assert await site.said(CopyVerified) == await site.said(CopyDamaged) == []
        own_seaweed.server.start()
        await site.until(CopyVerified, len, within=60)
    assert await site.dead_letters() == 0


async def test_a_refusing_target_is_said_to_refuse_and_is_tried_again(
    tmp_path: Path, nats_server: NatsServer, seaweed: Seaweed
) -> None:
    """Its bucket is missing: ``copy.failed`` once for a run, no dead letter; with the bucket it works."""
    target = cloud(seaweed, "kept", tmp_path) | {"bucket": "refusing"}
    site = Site(tmp_path, nats_server, {"cloud-a": target})
    async with site.running():
        await site.say(planned([await site.batch()], copies("onsite", "cloud-a")), "plan")
        failed = await site.until(CopyFailed, len)
        await site.until(CopyVerified, len)
        assert (failed[0].copy_key.target, failed[0].reason, failed[0].retrying) == ("cloud-a", "store-refused", True)
        await settle(2)
        assert len(await site.said(CopyFailed)) == 1
        seaweed.store("refusing")
        seaweed.store("refusing-keys")
        await site.until(CopyVerified, lambda found: len(found) == 2, within=60)
    assert await site.dead_letters() == 0


@contextmanager
def processes(site: Site) -> Iterator[dict[str, warm.Forked]]:
    """The three services as processes of their own; what is left of them in the end is ended."""
    alive = {name: start(site, name) for name in BUILDS}
    try:
        yield alive
    finally:
        for process in alive.values():
            process.kill()
            process.wait()


def start(site: Site, name: str) -> warm.Forked:
    """One service as its deployment starts it."""
    with (site.folder / f"{name}.log").open("ab") as log:
        return warm.start(f"services.{name}.app:build", {**os.environ, **site.environment(name)}, ROOT, log)


@pytest.mark.slow
async def test_services_that_are_killed_leave_nothing_behind_and_nothing_twice(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """SIGKILL of each in the middle of twelve packs, several times: every copy is proven, once, no object too many."""
    site = Site(tmp_path, nats_server)
    site.targets["cloud-a"] = site.folder_target("cloud-a")
    site = Site(tmp_path, nats_server, {"cloud-a": site.targets["cloud-a"]})
    await site.provision(ack_wait=8)
    packs = 12
    with processes(site) as alive:
        for number in range(packs):
            batch = await site.batch(4, seed=100 * number, pixel_length=1_500_000)
            await site.say(planned([batch], copies("onsite", "cloud-a"), f"pack{number}"), f"plan{number}")
        for kind, step in ((PackSealed, 3), (CopyWritten, 8), (CopyVerified, 10)):
            await site.until(kind, lambda found, n=step: len(found) >= n, within=60)
            for name, process in list(alive.items()):
                process.send_signal(signal.SIGKILL)
                process.wait()
                alive[name] = start(site, name)
        await site.until(CopyVerified, lambda found: len(found) >= 2 * packs, within=120)
        await eventually(site.idle, within=60)
    ids = [ce_id for ce_id, _ in await site.told()]
    assert len(ids) == len(set(ids))
    assert len(await site.said(PackSealed)) == packs
    assert len(await site.said(CopyVerified)) == 2 * packs
    assert await site.said(CopyDamaged) == []
    assert await site.dead_letters() == 0
    wanted = {key for event in await site.said(CopyWritten) for key in event.copy_key.keys}
    assert await objects(site.store("onsite")) == await objects(site.store("cloud-a")) == wanted
    parts = {part.key for event in await site.said(PackSealed) for part in event.sealed.parts}
    assert {key for key in await objects(site.sealed) if key.startswith("parts/")} == parts


async def test_health_tells_that_a_circuit_is_open(tmp_path: Path, nats_server: NatsServer) -> None:
    """The metric names the target that is left alone."""
    [nowhere, port] = free_ports(2)
    target = {
        "kind": "s3",
        "bucket": "nowhere",
        "endpoint": f"http://127.0.0.1:{nowhere}",
        "jurisdiction": "de",
        "forms": ["identified"],
    }
    site = Site(tmp_path, nats_server, {"cloud-a": target})
    async with site.running("encryption"), site.running("replication", http_port=port):
        await site.say(planned([await site.batch()], copies("cloud-a")), "plan")
        await site.until(CopyFailed, len)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert 'causeway_circuit_open{target="cloud-a"} 1.0' in (await client.get("/metrics")).text
