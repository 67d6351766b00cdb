"""Memory is bounded by configuration, never by the size or the number of instances."""

import hashlib
import os
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.events import Batch, Blob, PackDeidentified
from contracts.formats import archive
from contracts.formats.headers import header_line
from contracts.formats.manifest import Instance, Manifest, place, write_manifest
from shared.storage.parts import put_parts
from tests.integration.deid.site import PLAN, DeidSite
from tests.integration.dicom_ingest.site import MEMORY_BOUND
from tests.support.instances import as_file, make_instances
from tests.support.packs import planned, store_batch
from tests.support.processes import ServerProcess
from tests.unit.deid.memory import frames
from tests.unit.deid.originals import describe

#: What heaps may keep of earlier packs, in a service that has seen many.
KEPT = 50_000_000
ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20
#: CAUSEWAY_LARGE_INSTANCE_MIB=2048 and CAUSEWAY_MANY_INSTANCES=7000 try what may come; by default they are no less bad.
LARGE = int(os.environ.get("CAUSEWAY_LARGE_INSTANCE_MIB", "320")) * MIB
MANY = int(os.environ.get("CAUSEWAY_MANY_INSTANCES", "1500"))


def slices(count: int, rows: int = 64) -> Iterator[tuple[bytes, Instance]]:
    """Slices that differ in their UID, described without reading each."""
    (slice_,) = make_instances(1, rows=rows)
    file, uid = as_file(slice_), str(slice_.SOPInstanceUID)
    told = describe(file)
    for number in range(count):
        other = f"{uid[:-7]}{number:07d}"
        changed = file.replace(uid.encode(), other.encode())
        facts = {
            "sop_instance_uid": other,
            "crc32": zlib.crc32(changed),
            "meta_sha256": hashlib.sha256(changed[: told.dataset_offset]).hexdigest(),
            "dataset_sha256": hashlib.sha256(changed[told.dataset_offset :]).hexdigest(),
        }
        yield changed, told.model_copy(update=facts)


async def large_batch(site: DeidSite) -> Batch:
    """One instance whose pixels are LARGE zeros."""
    (image,) = make_instances(1)
    image.PixelData = b""
    file = as_file(image)
    head = file[:-4] + LARGE.to_bytes(4, "little")
    told = describe(file)
    data, crc = hashlib.sha256(head[told.dataset_offset :]), zlib.crc32(head)
    for _ in range(LARGE // MIB):
        data.update(bytes(MIB))
        crc = zlib.crc32(bytes(MIB), crc)
    facts = {"length": len(head) + LARGE, "crc32": crc, "pixel_length": LARGE, "pixels": None}
    (placed,) = place([told.model_copy(update={**facts, "dataset_sha256": data.hexdigest()})])

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in archive.iterate([placed], lambda _: (head, *[bytes(MIB)] * (LARGE // MIB))):
            yield bytes(chunk)

    size = await put_parts(site.landing, "large/archive", chunks())
    manifest = write_manifest(Manifest(form="identified", id="large", study_ref="study", instances=(placed,)))
    line = header_line(placed.entry, {})
    for name, content in (("manifest", manifest), ("headers", line)):
        await put_parts(site.landing, f"large/{name}", content)
    blobs = {
        name: Blob(store="landing", key=f"large/{name}", size=length)
        for name, length in (("manifest", len(manifest)), ("headers", len(line)), ("archive", size))
    }
    return Batch(batch_id="large", **blobs, instances=1, size=size)


@contextmanager
def process(site: DeidSite) -> Iterator[ServerProcess]:
    """The service in a process of its own."""
    log = site.folder / "deid.log"
    server = ServerProcess(
        [sys.executable, "-m", "shared.service", "services.deid.app:build"],
        log=log,
        ready=lambda: log.exists() and '"event": "ready"' in log.read_text(),
        environment=site.environment("deid") | {"PYTHONPATH": str(ROOT)},
        folder=site.folder,
    )
    server.start(timeout=60)
    try:
        yield server
    finally:
        server.stop()


def peak_bytes(server: ServerProcess) -> int:
    """The largest memory that the process ever held."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_whatever_comes_is_deidentified_within_the_bound(site: DeidSite) -> None:
    """The largest header that is taken apart, many small instances, and one that is larger than the bound."""
    file = frames(27_000)
    batches = [
        await store_batch(site.landing, [(file, describe(file))], batch_id="frames"),
        await store_batch(site.landing, slices(MANY), batch_id="many"),
        await large_batch(site),
    ]
    await site.provision()
    with process(site) as server:
        for batch in batches:
            await site.say(planned([batch], PLAN, pack_id=batch.batch_id), batch.batch_id)
        told = await site.until(PackDeidentified, lambda found: len(found) == 3, within=600)
        assert sorted(event.instances for event in told) == [1, 1, MANY]
        assert peak_bytes(server) < MEMORY_BOUND - KEPT
