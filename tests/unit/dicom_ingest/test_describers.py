"""Batches described by another process: the same as here, whatever becomes of the process."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.formats.headers import read_headers
from contracts.formats.manifest import read_manifest
from services.dicom_ingest.adapters import describers as describers_module
from services.dicom_ingest.adapters.describers import DescriberRules, Describers, DescribingFailed
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.spooled import SpooledBatch
from services.dicom_ingest.domain.instance import Issuers, RecordDamaged
from shared.identity import SiteKey
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import encode
from tests.unit.dicom_ingest.fakes import HereDescriber
from tests.unit.dicom_ingest.test_spool import clock, close_all, spool, store

__all__ = ["clock", "spool"]

MIB = 1 << 20


@pytest.fixture
def batch(spool: Spool) -> SpooledBatch:
    """Three instances, of which one is no data set."""
    for image in make_instances(2, study_uid="1.2.3"):
        store(spool, encode(image, "1.2.840.10008.1.2"))
    store(spool, b"\xff" * 100)
    (closed,) = close_all(spool)
    return closed


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SiteKey.create(tmp_path / "site.key")
    return tmp_path / "site.key"


@pytest.fixture
async def describers(key: Path) -> AsyncIterator[Describers]:
    made = of(key)
    yield made
    await made.close()


def of(key: Path, **more: Any) -> Describers:
    given = {"processes": 1, "memory": 1024 * MIB, "patient_issuer": "P", "order_issuer": "O", **more}
    return Describers(DescriberRules(site_key_file=key, **given))


async def test_what_another_process_tells_is_what_this_one_would(
    describers: Describers, batch: SpooledBatch, key: Path
) -> None:
    here, there = io.BytesIO(), io.BytesIO()
    local = HereDescriber(SiteKey.load(key), issuers=Issuers("P", "O"))
    for _ in range(2):  # the second time it is the same process
        assert await describers.describe(batch, there) == await local.describe(batch, here)
        assert there.getvalue() == here.getvalue()
        here.seek(0)
        here.truncate()

    return Issuers("P", "O")


async def test_a_process_that_is_killed_is_replaced(describers: Describers, batch: SpooledBatch) -> None:
    await describers.describe(batch, io.BytesIO())
    (first,) = (each.process for each in describers._idle)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    assert (await describers.describe(batch, io.BytesIO())).study_uid == "1.2.3"
    (second,) = (each.process for each in describers._idle)
    assert second.pid != first.pid


async def test_one_that_cannot_even_begin_fails_the_batch_and_does_not_hang(
    tmp_path: Path, batch: SpooledBatch
) -> None:
    broken = of(tmp_path / "no.key")
    with pytest.raises(DescribingFailed):
        await broken.describe(batch, io.BytesIO())
    assert broken._idle == []


async def test_an_error_that_nobody_foresaw_is_told_and_the_process_goes_on(
    describers: Describers, batch: SpooledBatch
) -> None:
    closed = batch.path.with_suffix(".closed")
    kept = closed.read_bytes()
    closed.unlink()
    with pytest.raises(DescribingFailed):
        await describers.describe(batch, io.BytesIO())
    (process,) = (each.process for each in describers._idle)
    closed.write_bytes(kept)
    assert (await describers.describe(batch, io.BytesIO())).study_uid == "1.2.3"
    assert [each.process for each in describers._idle] == [process]


async def test_what_the_disk_changed_is_told_and_what_is_left_is_described_alone(
    describers: Describers, batch: SpooledBatch
) -> None:
    damaged = batch.records[1]
    with batch.path.open("r+b") as file:
        file.seek(damaged.offset + damaged.length - 1)
        file.write(b"\x55")
    with pytest.raises(RecordDamaged):
        await describers.describe(batch, io.BytesIO())
    left, headers = SpooledBatch(batch.path, verify=True), io.BytesIO()
    assert (left.left_out, left.damaged) == ((1,), 1)
    told = await describers.describe(left, headers)
    assert len(told.manifest.splitlines()) == 1 + 2 and len(headers.getvalue().splitlines()) == 2


async def test_processes_end_with_the_service(key: Path, batch: SpooledBatch) -> None:
    made = of(key, processes=2)
    await asyncio.gather(*(made.describe(batch, io.BytesIO()) for _ in range(2)))
    processes = [each.process for each in made._idle]
    assert len(processes) == 2
    await made.close()
    assert [process.returncode for process in processes] == [0, 0]


#: What a process does where a data set begins with ``0xff``.
EVILS = {"ends": "os._exit(1)", "sleeps": "time.sleep(3600)", "spins": "spin()"}


@pytest.fixture
def evil(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A describer whose process does what the parameter names."""
    script = tmp_path / "evil.py"
    script.write_text(
        "import os, time\n"
        "from services.dicom_ingest.adapters import describer\n"
        "from services.dicom_ingest.domain import instance\n"
        "read = instance.read_header\n"
        "def spin():\n"
        "    while True:\n"
        "        pass\n"
        "def evil(load, *more):\n"
        "    if load(0, 1) == b'\\xff':\n"
        f"        {EVILS[request.param]}\n"
        "    return read(load, *more)\n"
        "instance.read_header = evil\n"
        "describer.main()\n"
    )
    monkeypatch.setattr(describers_module, "_COMMAND", (sys.executable, str(script)))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    if request.param == "spins":
        # Only the system can end it.
        monkeypatch.setattr(describers_module, "_BY_THE_CLOCK", 1_000_000)
    return str(request.param)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("evil", EVILS, indirect=True)
async def test_an_instance_at_which_the_process_ends_or_hangs_is_left_unread_and_holds_up_no_other(
    evil: str, key: Path, batch: SpooledBatch
) -> None:
    describers, headers = of(key, seconds=0.2), io.BytesIO()
    told = await describers.describe(batch, headers)
    manifest = read_manifest([told.manifest])
    assert ["opaque-header" in each.flags for each in manifest.instances] == [False, False, True]
    headers.seek(0)
    assert [each.reason for each in read_headers([headers.read()])] == [None, None, "header-unreadable"]
    await describers.close()
