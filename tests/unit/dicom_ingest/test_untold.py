"""A request for commitment waits for what was stored before it, in any process of the spool, and for nothing else."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.spooled import SpooledBatch
from services.dicom_ingest.domain.commitment import Asked
from services.dicom_ingest.domain.study_scan import StudyKey
from tests.unit.dicom_ingest.test_commitment import CT, request
from tests.unit.dicom_ingest.test_spool import ARRIVAL, RULES, Clock, abandon_process, close_all, untraced

NAMED = request(Asked("1.2.9", ((CT, "1.2.3.1"), (CT, "1.2.3.2"))))


async def process(root: Path) -> Spool:
    """The spool of another process on the same disk."""
    spool = Spool(root, RULES, CrashPoints(), Clock())
    await spool.open()
    return spool


def store(spool: Spool, sop_instance: str, study: str) -> None:
    """Acknowledge an instance."""
    recording = spool.record(StudyKey(study), replace(ARRIVAL, sop_instance=sop_instance), "a", untraced)
    recording.write(b"pixels")
    recording.commit()


def land(batches: list[SpooledBatch]) -> None:
    """The bus has heard of them."""
    for batch in batches:
        batch.remove()


@pytest.mark.parametrize("instance", ["1.2.3.1", "1.2.3.2"])
async def test_what_any_process_still_holds_of_a_request_goes_first(tmp_path: Path, instance: str) -> None:
    here, beside = CommitmentFiles(tmp_path), await process(tmp_path)
    store(beside, "1.2.3.9", "1.1")
    store(beside, instance, "1.2")
    here.keep(NAMED, "trace")
    assert here.asked() == [], "its batch is open"
    stranger, mine = close_all(beside)
    assert here.asked() == [], "its batch is closed"
    land([mine])
    assert here.asked() == [(NAMED, "trace")]
    assert stranger.path.exists()
    stranger.release()


async def test_what_a_dead_process_left_goes_first_also_for_one_that_starts_then(tmp_path: Path) -> None:
    dead = await process(tmp_path)
    store(dead, "1.2.3.1", "1.2")
    CommitmentFiles(tmp_path).keep(NAMED, None)
    abandon_process(dead)
    started = CommitmentFiles(tmp_path)
    assert started.asked() == []
    land(close_all(dead))
    assert started.asked() == [(NAMED, None)]


async def test_what_is_stored_later_is_not_waited_for(tmp_path: Path) -> None:
    files, spool = CommitmentFiles(tmp_path), await process(tmp_path)
    store(spool, "1.2.3.1", "1.2")
    files.keep(NAMED, None)
    assert files.asked() == []
    before = close_all(spool)
    store(spool, "1.2.3.1", "1.2")
    land(before)
    assert files.asked() == [(NAMED, None)]
    again = NAMED.model_copy(update={"requested": NAMED.requested + timedelta(seconds=1)})
    files.keep(again, None)
    assert files.asked() == [], "but by whoever asks after that"
    land(close_all(spool))
    assert files.asked() == [(again, None)]


async def test_a_batch_that_nobody_can_read_may_hold_anything(tmp_path: Path) -> None:
    files, spool = CommitmentFiles(tmp_path), await process(tmp_path)
    unreadable = spool.directory / "ab.batch"
    unreadable.write_bytes(b"no journal")
    files.keep(NAMED, None)
    assert files.asked() == []
    unreadable.rename(unreadable.with_suffix(".damaged"))
    assert files.asked() == [(NAMED, None)]
