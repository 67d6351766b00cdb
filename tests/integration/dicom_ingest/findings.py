"""What lies in the landing store beside what was sent."""

import asyncio
import json
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from contracts.events import BatchStored
from contracts.formats.manifest import read_manifest
from shared.storage import read_parts
from tests.integration.dicom_ingest.site import IngestSite
from tests.integration.dicom_ingest.soak import Key, Ledger

#: Seconds until the last batch must have left the spool.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Findings:
    """What lies in the landing store: instances, how many of them are there again, how many acknowledged ones are not.

    ``staged`` are files that a dead process was writing, which the store removes when they are an hour old; ``faults``
    says in words what must not be.
    """

    stored: int
    repeated: int
    lost: int
    staged: int
    faults: tuple[str, ...]


async def inspect(site: IngestSite, ledger: Ledger) -> Findings:
    """Wait until the spool is empty, then read everything back."""
    await site.spool_is_empty(timeout=_PATIENCE)
    faults = [f"{ledger.refused} refused"] if ledger.refused else []
    found: Counter[Key] = Counter()
    expected: set[str] = set()
    events = await site.events(BatchStored)
    for event in events:
        batch = event.batch
        parts = [
            b"".join([chunk async for chunk in read_parts(site.landing, blob.key, blob.size)])
            for blob in (batch.archive, batch.manifest)
        ]
        found += _instances(*parts, faults)
        folder = batch.archive.key.rpartition("/")[0]
        expected |= {f"{folder}/{name}/0001" for name in ("instances", "headers", "manifest", "event")}
    faults += _compare(ledger, found)
    faults += await _strangers(site, {blob.key async for blob in site.landing.list()}, expected)
    if len({event.batch.batch_id for event in events}) != len(events):
        faults.append("a batch was told of twice")
    ids = [json.loads(data)["id"] for data in site.told]
    if len(set(ids)) != len(ids):
        faults.append("an event id came twice")
    return Findings(
        stored=found.total(),
        repeated=found.total() - len(found),
        lost=len((+ledger.acknowledged).keys() - found.keys()),
        staged=len(list((site.folder / "landing" / ".staging").glob("*"))),
        faults=tuple(faults),
    )


def _instances(archive: bytes, manifest: bytes, faults: list[str]) -> Counter[Key]:
    """What is in a batch; it is a sound archive, and its manifest tells the digests of what is in it."""
    found: Counter[Key] = Counter()
    if zipfile.ZipFile(BytesIO(archive)).testzip() is not None:
        faults.append("an archive is damaged")
    for instance in read_manifest([manifest]).instances:
        file = archive[instance.offset : instance.offset + instance.length]
        digest = sha256(file[instance.dataset_offset :])
        if digest.hexdigest() != instance.dataset_sha256:
            faults.append("a manifest tells another digest")
        found[instance.sop_instance_uid, digest.digest()] += 1
    return found


def _compare(ledger: Ledger, found: Counter[Key]) -> list[str]:
    """What is missing, what nobody sent, and what is there more often than it was sent."""
    lost = (+ledger.acknowledged).keys() - found.keys()
    foreign = found.keys() - ledger.sent.keys()
    excess = sum(count > ledger.sent[key] for key, count in found.items()) - len(foreign)
    unsent = ledger.sent.keys() - (+ledger.acknowledged).keys()
    told = {"acknowledged and lost": lost, "never sent and there": foreign, "never acknowledged": unsent}
    faults = [f"{len(keys)} {what}" for what, keys in told.items() if keys]
    return [*faults, f"{excess} there more often than sent"] if excess else faults


async def _strangers(site: IngestSite, landed: set[str], expected: set[str]) -> list[str]:
    """Files that belong to no batch that was told of, and what is left in the spool beside the lock."""
    faults = [f"{len(landed ^ expected)} files too many or too few in the landing store"] if landed ^ expected else []
    deadline = time.monotonic() + _PATIENCE
    while (left := _left(site)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    faults += [f"left in the spool: {name}" for name in left]
    stuck = [event for event in ("batch-stuck", "batch-damaged", "service-failed") if site.logged(event)]
    return [*faults, *stuck]


def _left(site: IngestSite) -> list[str]:
    """What is left in the spool of dead processes, and of the one that runs beside its lock."""
    files = site.spooled()
    left = [path.suffix for path in files if path.name != "lock"]
    return sorted([*left, *(["directory"] if len({path.parent for path in files}) > 1 else [])])
