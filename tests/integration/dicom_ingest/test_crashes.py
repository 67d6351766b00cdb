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
from tests.integration.dicom_ingest.findings import inspect
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, Landed, write_files
from tests.integration.dicom_ingest.soak import STEPS as SOAK_STEPS
from tests.integration.dicom_ingest.soak import soak
from tests.support.instances import as_file, make_instances

STEPS = [
    "record.written:3",
    "record.synced:3",
    "record.answered:3",
    "batch.closing:1",
    "batch.closed:1",
    "landing.archive:1",
    "landing.manifest:1",
    "landing.event:1",
    "batch.published:1",
]

#: From the closing of a batch on, both receivers have the same code.
CRASHES = [(kind, step) for kind in RECEIVERS for step in STEPS if kind == "fast" or step.startswith("record.")]

#: Of each receiver.
ROUNDS = 2


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


@pytest.mark.parametrize(("site", "step"), CRASHES, indirect=["site"])
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


async def test_a_killed_service_leaves_no_process_behind(site: IngestSite) -> None:
    site.start()
    report = send(write_files(site.folder / "send", map(as_file, make_instances(1))), host="127.0.0.1", port=site.port)
    assert report.is_success
    await site.landed(1)
    others = site.pids[1:]
    assert others
    assert site.process is not None
    site.process.kill()
    deadline = time.monotonic() + 60
    while left := [pid for pid in others if _runs(pid)]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


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
    landed = await site.landed(len(report.sent))
    await site.spool_is_empty()
    landed = await site.landed(len(report.sent))
    found = digests(landed)
    assert acknowledged(report) <= set(found)
    assert sum(found.values()) - len(found) <= 6
    ids = [batch.event.batch.batch_id for batch in landed]
    assert len(ids) == len(set(ids))


def test_every_step_at_which_the_service_can_die_is_tried() -> None:
    assert [step.partition(":")[0] for step in STEPS] == list(SOAK_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_nothing_is_lost_and_nothing_else_is_there_after_many_deaths(site: IngestSite) -> None:
    """``make bench BENCH=crashes`` does the same 500 times."""
    ledger, deaths = await asyncio.to_thread(soak, site, ROUNDS, random.randrange(1 << 30))
    assert deaths.total() >= ROUNDS
    findings = await inspect(site, ledger)
    assert findings.faults == ()
    assert findings.stored >= len(ledger.sent)
