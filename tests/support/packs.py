"""Landing batches for tests of what seals, copies and proves: instances of random bytes with true manifests."""

import hashlib
import uuid
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random

from blake3 import blake3

from contracts.events import Batch, Blob, PackDeidentified, PackPlanned, PlannedCopy
from contracts.formats import archive, headers
from contracts.formats.manifest import Instance, Manifest, Source, place, write_manifest
from shared.storage import BlobStore
from shared.storage.parts import put_parts


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def make_file(seed: int, header_length: int = 300, pixel_length: int = 2000) -> tuple[bytes, Instance]:
    """A file of random bytes in the shape of a Part 10 file, and its manifest entry, not placed yet."""
    noise = Random(seed)
    meta = bytes(128) + b"DICM" + noise.randbytes(100)
    header, element, pixels = noise.randbytes(header_length), noise.randbytes(12), noise.randbytes(pixel_length)
    dataset = header + (element + pixels if pixel_length else b"")
    return meta + dataset, Instance(
        length=len(meta) + len(dataset),
        crc32=zlib.crc32(meta + dataset),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"2.25.{seed + 1}",
        study_uid="2.25.1000",
        series_uid="2.25.2000",
        transfer_syntax="1.2.840.10008.1.2.1",
        dataset_offset=len(meta),
        meta_sha256=sha256(meta),
        dataset_sha256=sha256(dataset),
        header_sha256=sha256(header),
        header_length=header_length,
        pixel_blake3=blake3(pixels).hexdigest() if pixel_length else None,
        pixel_offset=header_length + len(element) if pixel_length else None,
        pixel_length=pixel_length or None,
    )


async def store_batch(
    store: BlobStore,
    files: Iterable[tuple[bytes, Instance]],
    *,
    name: str = "landing",
    batch_id: str | None = None,
    form: str = "identified",
    source: Source | None = None,
) -> Batch:
    """Put manifest, headers and archive of ``files`` as ingest (or de-identification) does."""
    files = list(files)
    batch_id = batch_id or uuid.uuid4().hex
    placed = tuple(place(instance for _, instance in files))
    contents = {instance.entry: data for instance, (data, _) in zip(placed, files, strict=True)}
    identified = form == "identified"
    manifest = Manifest(
        form=form,
        id=batch_id,
        study_uid="2.25.1000",
        study_ref="study" if identified else None,
        received=datetime.now(UTC) if identified else None,
        source=source,
        instances=placed,
    )
    sections = {
        "manifest": write_manifest(manifest),
        "headers": b"".join(headers.header_line(each.entry, {"00080060": {"vr": "CS"}}) for each in placed),
        "archive": b"".join(archive.iterate(placed, lambda instance: [contents[instance.entry]])),
    }
    blobs = {part: await _put(store, name, f"{batch_id}/{part}", data) for part, data in sections.items()}
    return Batch(batch_id=batch_id, **blobs, instances=len(placed), size=blobs["archive"].size)


async def _put(store: BlobStore, name: str, key: str, data: bytes) -> Blob:
    await put_parts(store, key, data)
    return Blob(store=name, key=key, size=len(data), sha256=sha256(data))


def copies(*targets: str, form: str = "identified", domain: str = "hospital") -> tuple[PlannedCopy, ...]:
    """One planned copy in each target."""
    project = None if form == "identified" else "research"
    return tuple(
        PlannedCopy(form=form, target=target, tier="hot", key_domain=domain, project=project) for target in targets
    )


def planned(
    batches: Iterable[Batch],
    wanted: Iterable[PlannedCopy],
    pack_id: str = "pack",
    run: int = 0,
    left_out: tuple[str, ...] = (),
) -> PackPlanned:
    """The plan of a pack."""
    return PackPlanned(
        pack_id=pack_id,
        plan_id="plan",
        policy="0" * 64,
        study_uid="2.25.1000",
        study_ref="study",
        batches=tuple(batches),
        copies=tuple(wanted),
        commit_after=("onsite",),
        run=run,
        left_out=left_out,
    )


def deidentified(batch: Batch, wanted: Iterable[PlannedCopy], run: int = 0) -> PackDeidentified:
    """The fact that ``batch`` is a de-identified pack."""
    return PackDeidentified(
        pack_id=batch.batch_id,
        source_pack_id="pack",
        project="research",
        study_ref="study",
        manifest=batch.manifest,
        headers=batch.headers,
        archive=batch.archive,
        links=batch.headers,
        instances=batch.instances,
        size=batch.size,
        copies=tuple(wanted),
        run=run,
    )
