"""The peak memory of dicom_ingest, whatever the size of an instance and whatever the number in one association.

Each load is sent to a new process; what counts are the peaks of all its processes together. CAUSEWAY_DICOM_RECEIVER
chooses the receiver. The bytes of each large instance are read back from the landing store.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from bench.support import MB, result, table
from cli.dicom_files import Outgoing
from cli.scu import Sender
from shared.storage import read_parts
from tests.integration.dicom_ingest.large_images import MIB, sparse_image
from tests.integration.dicom_ingest.site import IngestSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.unit.dicom_ingest.data_sets import encode

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
#: Bytes of pixels, by what they are called in the ratios; the largest do not fit into 32 bits.
SIZES = {"1mb": 1 * MIB, "64mb": 64 * MIB, "1gib": 1024 * MIB, "4gib": 4104 * MIB}
COUNTS = (100, 10_000, 100_000)
#: No two peaks may lie further apart, bytes.
BOUND = 64 * MIB
_PATIENCE = 900.0
#: UIDs of one length, so that one file can be each instance in turn.
_UID = "1.2.826.0.1.3680043.8.498.1{:09d}"


def main() -> int:
    """Send each load to a process of its own; 1 when their peaks lie further apart than the bound."""
    receiver, peaks, rows = os.environ.get("CAUSEWAY_DICOM_RECEIVER", "fast"), {}, []
    for name in [*SIZES, *map(str, COUNTS)]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as folder:
            began = time.monotonic()
            peaks[name] = _peak(Path(folder), receiver, name)
            rows.append((name, peaks[name] / MB, time.monotonic() - began))
            print(*rows[-1], file=sys.stderr, flush=True)
    print(f"\ndicom_ingest, receiver {receiver}: peaks of its processes together\n")
    table(("load", "MB", "seconds"), rows)
    apart = max(peaks.values()) - min(peaks.values())
    smallest = peaks["1mb"]
    ratios = {"memory_4gib": peaks["4gib"] / smallest, "memory_100000": peaks["100000"] / peaks["100"]}
    result("memory", ratios, {"receiver": receiver, "apart_mib": apart / MIB, "peaks": peaks})
    return 0 if apart <= BOUND else 1


def _peak(folder: Path, receiver: str, name: str) -> int:
    """Bytes at the peak of one load."""
    nats = NatsServer(folder / "nats").start()
    site = IngestSite(folder, nats, receiver, cold=True)
    try:
        asyncio.run(site.provision())
        site.start()
        images = _sized(folder, SIZES[name]) if name in SIZES else _many(folder, int(name))
        sent = _send(site.port, images)
        asyncio.run(_landed(site, sent, folder / "image.dcm" if name in SIZES else None))
        return site.peak_bytes()
    finally:
        if site.process is not None:
            site.process.kill()
        nats.kill()


def _sized(folder: Path, size: int) -> Iterator[Outgoing]:
    path = folder / "image.dcm"
    length = sparse_image(path, size)
    yield Outgoing(path, 0, length, CT, _UID.format(0), EXPLICIT)


def _many(folder: Path, count: int) -> Iterator[Outgoing]:
    """One small file that becomes another instance each time."""
    path = folder / "image.dcm"
    (image,) = make_instances(1)
    image.SOPInstanceUID = _UID.format(0)
    content = encode(image, EXPLICIT)
    path.write_bytes(content)
    at = content.index(image.SOPInstanceUID.encode())
    outgoing = Outgoing(path, 0, len(content), CT, image.SOPInstanceUID, EXPLICIT)
    with path.open("r+b", buffering=0) as file:
        for number in range(1, count + 1):
            uid = _UID.format(number)
            os.pwrite(file.fileno(), uid.encode(), at)
            yield replace(outgoing, sop_instance=uid)


def _send(port: int, images: Iterator[Outgoing]) -> int:
    """All over one association; how many."""
    sender = Sender("127.0.0.1", port, [(CT, EXPLICIT)], "BENCH", "CAUSEWAY", _PATIENCE)
    sent = 0
    for image in images:
        status = sender.store(image)
        if not status.is_success:
            raise RuntimeError(f"refused with {status.code:04X} {status.comment}")
        sent += 1
    sender.release()
    return sent


async def _landed(site: IngestSite, sent: int, image: Path | None) -> None:
    """All of it has landed; of an image that is given, bit for bit."""
    await site.spool_is_empty(timeout=_PATIENCE)
    found = await site.manifests()
    stored = sum(len(manifest.instances) for _event, manifest in found)
    if stored != sent:
        raise RuntimeError(f"{stored} of {sent} have landed")
    if image is None:
        return
    ((event, manifest),) = found
    (instance,) = manifest.instances
    start, length = instance.offset + instance.dataset_offset, instance.length - instance.dataset_offset
    archive, digest = event.batch.archive, sha256()
    async for chunk in read_parts(site.landing, archive.key, archive.size, start, length):
        digest.update(chunk)
    with image.open("rb") as file:
        told = sha256()
        while chunk := file.read(MIB):
            told.update(chunk)
    if not told.hexdigest() == digest.hexdigest() == instance.dataset_sha256:
        raise RuntimeError("what has landed is not what was sent")


if __name__ == "__main__":
    sys.exit(main())
