"""dicom_ingest as a process of its own, on a real bus, with a spool and a landing store in folders."""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import family, peak_mb
from contracts.events import BatchStored, Blob, Event
from contracts.formats.headers import Header, read_headers
from contracts.formats.manifest import Instance, Manifest, read_manifest
from shared.identity import SiteKey
from shared.messaging.cloudevent import decode
from shared.storage import FilesystemStore, read_parts
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess, ServiceProcess
from tests.support.provisioning import provision_for

#: Both receivers, for tests of what either must do.
RECEIVERS = ("fast", "standard")
#: What the service may hold, bytes.
MEMORY_BOUND = 250_000_000


@dataclass(frozen=True)
class Landed:
    """What lies in the landing store of one stored batch."""

    event: BatchStored
    manifest: Manifest
    headers: tuple[Header, ...]
    archive: bytes

    def file(self, instance: Instance) -> bytes:
        """The Part 10 file of an instance."""
        return self.archive[instance.offset : instance.offset + instance.length]

    def dataset(self, instance: Instance) -> bytes:
        """Its data set alone."""
        return self.file(instance)[instance.dataset_offset :]


class IngestSite:
    """Folders, key, bus and one process of the service at a time."""

    def __init__(self, folder: Path, nats: NatsServer, receiver: str = "fast", *, cold: bool = False) -> None:
        self.folder, self.nats, self.receiver = folder, nats, receiver
        self.site_key = SiteKey.create(folder / "site.key")
        self.landing = FilesystemStore(folder / "landing")
        self.spool = folder / "spool"
        self.port, self.http_port = free_ports(2)
        self.process: ServerProcess | None = None
        self._cold = cold
        self._seen: list[tuple[str, bytes]] = []

    def environment(self, **others: Any) -> dict[str, str]:
        """The settings of the service."""
        values = {
            "nats_url": self.nats.url,
            "site_key_file": self.folder / "site.key",
            "spool_dir": self.spool,
            "landing_url": f"file://{self.folder / 'landing'}",
            "dicom_port": self.port,
            "dicom_receiver": self.receiver,
            "http_port": self.http_port,
            "trace_file": self.folder / "trace.jsonl",
            "disk_reserve": 0,
            "batch_quiet": 0.4,
            "batch_quiet_after_end": 0.1,
            **others,
        }
        return {f"CAUSEWAY_{name.upper()}": str(value) for name, value in values.items()}

    def start(self, **settings: Any) -> ServerProcess:
        """Start the service and wait until its port answers."""
        self.process = ServiceProcess(
            "services.dicom_ingest.app:build",
            log=self.folder / "ingest.log",
            ready=self._listens,
            environment=self.environment(**settings),
            folder=self.folder,
            cold=self._cold,
        )
        self.process.start(timeout=60)
        return self.process

    def _listens(self) -> bool:
        import socket

        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    async def provision(self) -> None:
        """Make the streams of the contracts, and the consumers of this service."""
        await provision_for(self.nats, ["dicom_ingest"], {})

    async def events(self, kind: type[Event]) -> list[Any]:
        """Every event of this kind in the stream, in order."""
        async with self.nats.jetstream() as jetstream:
            state = (await jetstream.stream_info(kind.stream())).state
            for sequence in range(len(self._seen) + 1, state.last_seq + 1):
                message = await jetstream.get_msg(kind.stream(), sequence)
                self._seen.append((message.subject or "", message.data or b""))
        return [decode(data, kind).data for subject, data in self._seen if subject == kind.subject]

    @property
    def told(self) -> list[bytes]:
        """What ``events`` has read of the stream, of every kind."""
        return [data for _subject, data in self._seen]

    async def landed(self, instances: int, timeout: float = 100) -> list[Landed]:
        """What is in the stored batches once they hold so many instances.

        Who reads the headers lets everybody else go first: on a busy machine that takes many times as long.
        """
        deadline = time.monotonic() + timeout
        while True:
            events = await self.events(BatchStored)
            if sum(event.batch.instances for event in events) >= instances:
                return [await self._read(event) for event in events]
            assert time.monotonic() < deadline, f"{len(events)} batches: {self.log()[-2000:]}"
            await asyncio.sleep(0.2)

    async def manifests(self) -> list[tuple[BatchStored, Manifest]]:
        """Every stored batch with its manifest, its archive left where it is."""
        events = await self.events(BatchStored)
        return [(event, read_manifest([await self._value(event.batch.manifest)])) for event in events]

    async def _value(self, blob: Blob) -> bytes:
        return b"".join([chunk async for chunk in read_parts(self.landing, blob.key, blob.size)])

    async def _read(self, event: BatchStored) -> Landed:
        batch = event.batch
        manifest, headers, archive = [
            await self._value(blob) for blob in (batch.manifest, batch.headers, batch.archive)
        ]
        return Landed(event, read_manifest([manifest]), tuple(read_headers([headers])), archive)

    async def spool_is_empty(self, timeout: float = 60) -> None:
        """Return when no batch is left in the spool."""
        deadline = time.monotonic() + timeout
        while left := self.spooled(".batch"):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.1)

    def spooled(self, suffix: str = "") -> list[Path]:
        """Files of the spool's incarnations, which may vanish meanwhile."""
        found: list[Path] = []
        for directory in self.spool.glob("*-*"):
            with suppress(FileNotFoundError):
                found += [path for path in directory.iterdir() if path.name.endswith(suffix)]
        return found

    @property
    def pids(self) -> list[int]:
        """The service's process, and those that it started."""
        assert self.process is not None and self.process.process is not None
        return family(self.process.process.pid)

    def peak_bytes(self) -> int:
        """The largest memory that the processes ever held, together."""
        return int(peak_mb(self.pids[0]) * 1_000_000)

    def log(self) -> str:
        """What the process has logged."""
        return (self.folder / "ingest.log").read_text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]


def dcmtk(tool: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a dcmtk tool without Nagle's delay; exit status and output."""
    import subprocess

    done = subprocess.run(
        [tool, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "TCP_NODELAY": "1"},
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def write_files(folder: Path, files: Iterable[bytes]) -> list[Path]:
    """Each of ``files`` as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, content in enumerate(files, start=1):
        paths.append(folder / f"{number:04d}.dcm")
        paths[-1].write_bytes(content)
    return paths
