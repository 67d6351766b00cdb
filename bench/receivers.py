"""Receivers of C-STORE, each as it is shipped: ours, Orthanc, dcmtk's storescp and pynetdicom's."""

import asyncio
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import cpu_seconds, peak_mb
from contracts.streams import documents
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 120.0


@dataclass(frozen=True)
class Receiver:
    """A running receiver. ``settle`` waits until it has nothing left to do of what it acknowledged."""

    name: str
    port: int
    pid: int
    settle: Callable[[], None]

    def cpu(self) -> float:
        """Seconds of processor time so far, the kernel's for it included."""
        return cpu_seconds(self.pid)

    def memory(self) -> float:
        """The largest resident sizes of its processes so far, together, MB."""
        return peak_mb(self.pid)


def _nothing() -> None:
    """A receiver that leaves nothing for later."""


def listens(port: int) -> bool:
    """Whether somebody accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(name: str, command: list[str], port: int, folder: Path, **environment: str) -> Iterator[Receiver]:
    server = ServerProcess(
        command, log=folder / f"{name}.log", ready=lambda: listens(port), environment=environment, folder=folder
    )
    server.start()
    process = server.process
    assert process is not None
    try:
        yield Receiver(name, port, process.pid, _nothing)
    finally:
        server.stop()


@contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """Debian's Orthanc with its defaults, but large PDUs and no plugins."""
    folder.mkdir()
    http, dicom = free_ports(2)
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [],
        "DicomPort": dicom,
        "HttpPort": http,
        "MaximumPduLength": 131072,
        "RemoteAccessAllowed": False,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with running("orthanc", ["Orthanc", str(folder / "orthanc.json")], dicom, folder, TCP_NODELAY="1") as found:
        yield found


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """dcmtk's storescp: a process per association, bytes as they come, no sync, no digest, no index."""
    folder.mkdir()
    (port,) = free_ports(1)
    command = ["storescp", "--fork", "+B", "-pdu", "131072", "-od", str(folder), str(port)]
    with running("storescp", command, port, folder, TCP_NODELAY="1") as found:
        yield found


@contextmanager
def pynetdicom(folder: Path) -> Iterator[Receiver]:
    """pynetdicom's own storescp."""
    folder.mkdir()
    (port,) = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "pynetdicom",
        "storescp",
        str(port),
        "-od",
        str(folder),
        "-q",
        "--max-pdu",
        "131072",
    ]
    with running("pynetdicom", command, port, folder) as found:
        yield found


@contextmanager
def causeway(folder: Path, **settings: str) -> Iterator[Receiver]:
    """dicom_ingest as shipped, on a JetStream server that syncs every message."""
    folder.mkdir()
    own = {
        "CAUSEWAY_SPOOL_DIR": str(folder / "spool"),
        "CAUSEWAY_LANDING_URL": f"file://{folder / 'landing'}",
        **{f"CAUSEWAY_{name.upper()}": value for name, value in settings.items()},
    }
    with service("dicom_ingest", "CAUSEWAY_DICOM_PORT", folder, **own) as found:
        yield replace(found, settle=lambda: _wait_until_empty(folder / "spool"))


@contextmanager
def service(name: str, port_setting: str, folder: Path, **settings: str) -> Iterator[Receiver]:
    """One of our services beside a JetStream server with all that it needs; it is told its port by ``port_setting``."""
    nats = NatsServer(folder / "nats").start()
    SiteKey.create(folder / "site.key")
    asyncio.run(provision_site(ServiceSettings(nats_url=nats.url), read_plan(*documents()), {"target": ["onsite"]}))
    (port,) = free_ports(1)
    environment = {
        "PYTHONPATH": str(ROOT),
        "CAUSEWAY_NATS_URL": nats.url,
        "CAUSEWAY_SITE_KEY_FILE": str(folder / "site.key"),
        port_setting: str(port),
        **settings,
    }
    command = [sys.executable, "-m", "shared.service", f"services.{name}.app:build"]
    try:
        with running("causeway", command, port, folder, **environment) as found:
            yield found
    finally:
        nats.kill()


def _wait_until_empty(spool: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while any(spool.glob("*/*.batch")):
        if time.monotonic() > deadline:
            raise TimeoutError("batches stay in the spool")
        time.sleep(0.05)


def missing() -> list[str]:
    """Programs of the peers that are not installed."""
    return [program for program in ("Orthanc", "storescp", "dcmsend") if shutil.which(program) is None]
