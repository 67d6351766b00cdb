"""Acknowledged is there, once, whatever moment the process died at."""

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from cli.send import Report, send
from contracts.events import BatchStored
from tests.integration.dicom_ingest.site import IngestSite, Landed, write_files
from tests.support.instances import as_file, make_instances

STEPS = [
    "record.written:3",
    "record.synced:3",
    "batch.closing:1",
    "batch.closed:1",
    "landing.archive:1",
    "landing.manifest:1",
    "batch.published:1",
]


def digests(landed: list[Landed]) -> Counter[tuple[str, bytes]]:
    """What lies in the landing store, by SOP instance UID and data set."""
    return Counter(
        (instance.sop_instance_uid, sha256(batch.dataset(instance)).digest())
        for batch in landed
        for instance in batch.manifest.instances
    )


def acknowledged(report: Report) -> set[tuple[str, bytes]]:
    """What the sender was told is safe."""
    return {(each.sop_instance, sha256(each.path.read_bytes()[each.offset :]).digest()) for each in report.sent}


def restart_when_dead(site: IngestSite) -> None:
    """Wait for the crash, then start the service again."""
    assert site.process is not None and site.process.process is not None
    assert site.process.process.wait(30) == 137
    site.start()


@pytest.mark.parametrize("step", STEPS)
async def test_what_was_acknowledged_before_a_crash_lands_once(site: IngestSite, step: str) -> None:
    site.start(crash_at=step)
    files = write_files(site.folder / "send", map(as_file, make_instances(6)))
    crashed = threading.Thread(target=restart_when_dead, args=(site,))
    crashed.start()
    report = send(files, host="127.0.0.1", port=site.port)
    await asyncio.to_thread(crashed.join)
    assert len(report.sent) == 6, report.failed
    landed = await site.landed(6)
    found = digests(landed)
    assert set(found) == acknowledged(report)
    # One that was durable but not yet acknowledged is sent again, and is the same instance twice.
    assert sum(found.values()) - len(found) <= 1
    await site.spool_is_empty()
    ids = [event.batch.batch_id for event in await site.events(BatchStored)]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
async def test_a_study_survives_three_kills_at_any_moment(site: IngestSite, tmp_path: Path) -> None:
    site.start()
    files = write_files(tmp_path / "send", map(as_file, make_instances(400, rows=96)))
    reports: list[Report] = []
    sending = threading.Thread(
        target=lambda: reports.append(send(files, host="127.0.0.1", port=site.port, associations=2))
    )
    sending.start()
    moments = random.Random(7)
    for _ in range(3):
        time.sleep(moments.uniform(0.1, 0.5))
        assert site.process is not None
        site.process.stop(signal.SIGKILL)
        site.start()
    await asyncio.to_thread(sending.join)
    (report,) = reports
    landed = await site.landed(len(report.sent), timeout=60)
    await site.spool_is_empty()
    landed = await site.landed(len(report.sent))
    found = digests(landed)
    assert acknowledged(report) <= set(found)
    assert sum(found.values()) - len(found) <= 6
    ids = [batch.event.batch.batch_id for batch in landed]
    assert len(ids) == len(set(ids))
