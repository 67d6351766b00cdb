"""A huge instance goes from the modality to what is behind us, within the memory that everything has."""

import os
import shutil
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from bench.processes import family, peak_mb
from cli.send import send
from contracts.events import BatchStored, ForwardDelivered
from services.dicom_ingest.domain.records import ENTRY_LIMIT
from shared.storage import read_parts
from tests.integration.dicom_ingest.large_images import MIB, sparse_image
from tests.integration.dicom_ingest.site import MEMORY_BOUND, IngestSite
from tests.integration.forwarding.counting import Counted, CountingStow, counting_scp
from tests.integration.forwarding.site import ForwardingSite
from tests.integration.forwarding.stow import served
from tests.support.nats import NatsServer
from tests.support.ports import free_ports

#: What forwarding may hold, bytes.
BOUND = 300_000_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: Of pixels and padding, bytes. Beyond 4 GiB it takes 13 GB of disk and minutes: when CAUSEWAY_HUGE_INSTANCE is set.
SIZES = [
    pytest.param(320 * MIB, id="320-mib"),
    pytest.param(
        4107 * MIB,
        id="4-gib",
        marks=pytest.mark.skipif(
            "CAUSEWAY_HUGE_INSTANCE" not in os.environ, reason="CAUSEWAY_HUGE_INSTANCE is not set"
        ),
    ),
]


@pytest.fixture
def ingest(tmp_path: Path, nats_server: NatsServer) -> Iterator[IngestSite]:
    """dicom_ingest in a folder of its own; what it leaves is removed."""
    folder = tmp_path / "ingest"
    folder.mkdir()
    found = IngestSite(folder, nats_server)
    yield found
    if found.process is not None:
        found.process.kill()
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "landing")


@pytest.mark.parametrize("size", SIZES)
async def test_an_instance_beyond_all_bounds_arrives_by_c_store_and_by_stow(
    site: ForwardingSite, ingest: IngestSite, tmp_path: Path, size: int
) -> None:
    (port,) = free_ports(1)
    image, stow = tmp_path / "huge.dcm", CountingStow()
    length = sparse_image(image, size)
    assert (length > ENTRY_LIMIT) is (size > 4096 * MIB)
    with counting_scp() as scp, served(stow, port):
        site.destinations(
            pacs={"port": scp.port, "timeout": 120},
            vna={"kind": "stow", "url": f"http://127.0.0.1:{port}/dicom-web", "timeout": 120},
        )
        await site.provision(ack_wait=600)
        ingest.start(landing_url=f"file://{site.folder / 'landing'}", site_key_file=site.folder / "site.key")
        process, began = site.process(), time.monotonic()
        assert send([image], host="127.0.0.1", port=ingest.port).failed == []
        sent = time.monotonic()
        (event,) = await site.until(BatchStored, 1, within=600)
        stored = time.monotonic()
        await site.until(ForwardDelivered, 2, within=900)
        delivered = time.monotonic()
        assert process.process is not None
        peak, receiving = int(peak_mb(family(process.process.pid)[0]) * 1_000_000), ingest.peak_bytes()
        process.stop()
    print(
        f"{length} B: sent {sent - began:.0f} s, stored {stored - sent:.0f} s, delivered {delivered - stored:.0f} s,"
        f" at most {receiving / MIB:.0f} MiB receiving and {peak / MIB:.0f} MiB passing on"
    )
    ingest.landing = site.landing
    ((_event, manifest),) = await ingest.manifests()
    (instance,) = manifest.instances
    assert (instance.length, instance.dataset_sha256) == (instance.dataset_offset + length, digest(image))
    assert scp.counted == [Counted(length, digest(image))]
    whole, archive = sha256(), event.batch.archive
    async for chunk in read_parts(site.landing, archive.key, archive.size, instance.offset, instance.length):
        whole.update(chunk)
    assert stow.counted == [Counted(instance.length, whole.hexdigest())]
    assert receiving < MEMORY_BOUND and peak < BOUND
    assert await site.dead_letters() == 0


def digest(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        found = sha256()
        while chunk := file.read(MIB):
            found.update(chunk)
    return found.hexdigest()
