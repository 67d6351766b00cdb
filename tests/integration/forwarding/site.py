"""A site with forwarding, on a real bus, with batches in a landing store and real systems to send to."""

import asyncio
import os
import socket
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import yaml

from contracts.events import BY_SUBJECT, BatchStored, Event
from contracts.formats.manifest import Instance, Source
from services.forwarding.app import build
from services.forwarding.config import Settings
from shared.identity import SiteKey
from shared.messaging.cloudevent import decode
from shared.service.life import Life
from shared.storage import FilesystemStore
from tests.support.nats import NatsServer
from tests.support.packs import make_file, sha256, store_batch
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess, ServiceProcess
from tests.support.provisioning import provision_for
from tests.support.services import eventually, living, publisher

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
File = tuple[bytes, Instance]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """An element of Explicit VR Little Endian (PS3.5 section 7.1.2)."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    tag = group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr
    if vr in (b"OB", b"OW"):
        return tag + bytes(2) + len(value).to_bytes(4, "little") + value
    return tag + len(value).to_bytes(2, "little") + value


def dicom_file(seed: int, size: int = 2000) -> File:
    """A CT with random pixels that real systems take, and its manifest entry."""
    uid = f"2.25.{seed + 1}".encode()
    dataset = (
        element(0x0008, 0x0016, b"UI", CT.encode())
        + element(0x0008, 0x0018, b"UI", uid)
        + element(0x0008, 0x0060, b"CS", b"CT")
        + element(0x0010, 0x0020, b"LO", b"P1")
        + element(0x0020, 0x000D, b"UI", b"2.25.1000")
        + element(0x0020, 0x000E, b"UI", b"2.25.2000")
        + element(0x7FE0, 0x0010, b"OW", os.urandom(size))
    )
    meta = (
        element(0x0002, 0x0001, b"OB", b"\0\1")
        + element(0x0002, 0x0002, b"UI", CT.encode())
        + element(0x0002, 0x0003, b"UI", uid)
        + element(0x0002, 0x0010, b"UI", EXPLICIT.encode())
    )
    length = element(0x0002, 0x0000, b"UL", len(meta).to_bytes(4, "little"))
    head = bytes(128) + b"DICM" + length + meta
    file = head + dataset
    _, sample = make_file(seed)
    return file, sample.model_copy(
        update={
            "length": len(file),
            "crc32": zlib.crc32(file),
            "dataset_offset": len(head),
            "meta_sha256": sha256(head),
            "dataset_sha256": sha256(dataset),
            "header_sha256": sha256(dataset),
            "header_length": len(dataset),
            "pixel_blake3": None,
            "pixel_offset": None,
            "pixel_length": None,
            "routing": sample.routing.model_copy(update={"modality": "CT"}),
        }
    )


def landed(file: bytes) -> File:
    """Any Part 10 file with the manifest entry that ingest gives it, as far as forwarding reads it."""
    with BytesIO(file) as source:
        pydicom.filereader.read_preamble(source, force=False)
        meta = pydicom.filereader._read_file_meta_info(source)
        offset = source.tell()
    head, dataset = file[:offset], file[offset:]
    _, sample = make_file(0)
    return file, sample.model_copy(
        update={
            "length": len(file),
            "crc32": zlib.crc32(file),
            "sop_class_uid": str(meta.MediaStorageSOPClassUID),
            "sop_instance_uid": str(meta.MediaStorageSOPInstanceUID),
            "transfer_syntax": str(meta.TransferSyntaxUID),
            "dataset_offset": offset,
            "meta_sha256": sha256(head),
            "dataset_sha256": sha256(dataset),
            "header_sha256": sha256(dataset),
            "header_length": len(dataset),
            "pixel_blake3": None,
            "pixel_offset": None,
            "pixel_length": None,
        }
    )


class StoreScp:
    """dcmtk's receiver, writing data sets exactly as they come (``+B``)."""

    def __init__(self, folder: Path, port: int | None = None, *options: str) -> None:
        self.folder, self.port = folder, port or free_ports(1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        self.server = ServerProcess(
            ["storescp", "+B", *(options or ("+xa",)), "--output-directory", str(folder), str(self.port)],
            log=folder.with_suffix(".log"),
            ready=lambda: listens(self.port),
            environment={"TCP_NODELAY": "1"},
        )

    def data_sets(self) -> dict[str, bytes]:
        """What it has, by SOP Instance UID."""
        found = {}
        for path in self.folder.iterdir():
            with path.open("rb") as file:
                meta = pydicom.filereader.read_preamble(file, force=True) and pydicom.filereader._read_file_meta_info(
                    file
                )
                found[str(meta.MediaStorageSOPInstanceUID)] = file.read()
        return found

    def log(self) -> str:
        """What it has said, with ``-v``."""
        return self.folder.with_suffix(".log").read_text(errors="replace")

    def arrived(self) -> list[str]:
        """The UIDs in the order in which the files were written."""
        paths = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [path.name.partition(".")[2] for path in paths]


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ForwardingSite:
    """Folders, key, bus, destinations; the service lives in the test or in a process of its own."""

    def __init__(self, folder: Path, nats: NatsServer) -> None:
        self.folder, self.nats = folder, nats
        self.site_key = SiteKey.create(folder / "site.key")
        self.landing = FilesystemStore(folder / "landing")
        self.http_port = free_ports(1)[0]
        self.targets = {
            "onsite": {
                "kind": "filesystem",
                "url": f"file://{folder / 'onsite'}",
                "jurisdiction": "de",
                "forms": ["identified"],
            }
        }
        (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": self.targets}))
        self._stored = 0

    def destinations(self, **named: dict[str, Any]) -> None:
        """Write ``destinations.yaml``; ``port`` alone makes a DICOM destination on this machine."""
        for one in named.values():
            if "port" in one:
                one.update({"kind": "dicom", "host": "127.0.0.1", "timeout": 5} | one)
        (self.folder / "destinations.yaml").write_text(yaml.safe_dump({"destinations": named}))
        self.names = list(named)

    def values(self, **others: Any) -> dict[str, Any]:
        """The settings of the service."""
        return {
            "nats_url": self.nats.url,
            "site_key_file": self.folder / "site.key",
            "landing_url": f"file://{self.folder / 'landing'}",
            "keys_url": f"file://{self.folder / 'keys'}",
            "kek_dir": self.folder / "kek",
            "targets_file": self.folder / "targets.yaml",
            "destinations_file": self.folder / "destinations.yaml",
            "database_url": f"sqlite:///{self.folder / 'forwarding.db'}",
            "http_port": self.http_port,
            "breaker_first": 0.1,
            "breaker_longest": 0.4,
            "look_every": 0.1,
            **others,
        }

    async def provision(self, ack_wait: float = 30) -> None:
        """Streams, and consumers of the service; what a dead process had comes again after ``ack_wait`` seconds."""
        await provision_for(self.nats, ["forwarding"], {"destination": self.names}, ack_wait=ack_wait)

    @asynccontextmanager
    async def running(self, **others: Any) -> AsyncIterator[Life]:
        """The service, alive in this process."""
        await self.provision()
        async with living(build(Settings.model_validate(self.values(**others)))) as life:
            yield life

    def process(self, **others: Any) -> ServerProcess:
        """The service as a process of its own, started."""
        names = {f"CAUSEWAY_{name.upper()}": str(value) for name, value in self.values(**others).items()}
        process = ServiceProcess(
            "services.forwarding.app:build",
            log=self.folder / "forwarding.log",
            ready=lambda: listens(self.http_port),
            environment=names,
            folder=self.folder,
        )
        process.start(timeout=60)
        return process

    async def store(self, files: Sequence[File], source: Source | None = None) -> BatchStored:
        """Land a batch and say so, as ingest does."""
        batch = await store_batch(self.landing, files, source=source)
        now = datetime.now(UTC)
        event = BatchStored(batch=batch, study_uid="2.25.1000", study_ref="0" * 32, opened=now, closed=now)
        async with publisher(self.nats, "dicom_ingest") as bus:
            await bus.publish(event, id=f"{batch.batch_id}")
        return event

    async def told(self, kind: type[Event]) -> list[Any]:
        """Every event of a kind in the stream, in order."""
        async with self.nats.jetstream() as jetstream:
            state = (await jetstream.stream_info("IMAGING")).state
            found = [await jetstream.get_msg("IMAGING", n) for n in range(max(1, state.first_seq), state.last_seq + 1)]
        return [decode(one.data, BY_SUBJECT[one.subject]).data for one in found if one.subject == kind.subject]

    async def until(self, kind: type[Event], count: int, within: float = 90) -> list[Any]:
        """The events of a kind, once there are so many."""

        async def look() -> bool:
            return len(await self.told(kind)) >= count

        await eventually(look, within)
        return await self.told(kind)

    async def ask(self, path: str = "", *, post: bool = False) -> Any:
        """An answer of ``/api/destinations``."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.http_port}", timeout=10) as client:
            answer = await client.request("POST" if post else "GET", f"/api/destinations{path}")
            return answer.json()

    async def row(self, name: str) -> dict[str, Any]:
        """Where one queue stands."""
        return next(one for one in (await self.ask())["destinations"] if one["name"] == name)

    async def dead_letters(self) -> int:
        """How many there are."""
        async with self.nats.jetstream() as jetstream:
            return (await jetstream.stream_info("DEADLETTERS")).state.messages


def expected(files: Iterable[File]) -> dict[str, bytes]:
    """The data sets of files by SOP Instance UID."""
    return {one.sop_instance_uid: data[one.dataset_offset :] for data, one in files}


def flip(path: Path, offset: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


async def settle(seconds: float = 0.5) -> None:
    """Give what should not happen the time to happen."""
    await asyncio.sleep(seconds)


__all__ = [
    "ForwardingSite",
    "StoreScp",
    "dicom_file",
    "eventually",
    "expected",
    "flip",
    "landed",
    "listens",
    "settle",
]
