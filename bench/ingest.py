"""C-STORE ingest beside Orthanc, in the same run on the same disk, with one and with four associations.

Both acknowledge over TCP_NODELAY and take the same files from the same sender in turn. Ours runs as it does on a site:
it digests, fsyncs each instance before it answers, and lands batches and tells the bus of them meanwhile.
"""

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.support import ct_series, median, result, table
from cli.send import send
from contracts.streams import documents
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

SLICES, ROUNDS = 300, 5
ASSOCIATIONS = (1, 4)
ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 60.0

#: Sends to a port with so many associations; instances/s.
Measure = Callable[[Path, int], float]


def main() -> int:
    """Alternate Orthanc and ours; print medians and their ratios."""
    if shutil.which("Orthanc") is None:
        print("no Orthanc beside which to measure: apt-get install orthanc", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name, ExitStack() as stack:
        folder = Path(name)
        orthanc = stack.enter_context(running_orthanc(folder / "orthanc"))
        ours = stack.enter_context(running_ingest(folder / "ingest"))
        with series(folder, 20, 0) as files:  # warm
            orthanc(files, 1)
            ours(files, 1)
        rates = {count: rounds(folder, count, orthanc, ours) for count in ASSOCIATIONS}
    print(f"\nC-STORE, {SLICES} CT slices of 525 kB a round, instances/s (medians of {ROUNDS} alternating rounds)\n")
    rows = [
        (count, median(theirs), median(mine), median(mine) / median(theirs)) for count, (theirs, mine) in rates.items()
    ]
    table(("associations", "orthanc", "causeway", "ratio"), rows)
    figures = {
        f"{server}_{count}": [round(rate, 1) for rate in pair[index]]
        for count, pair in rates.items()
        for index, server in enumerate(("orthanc", "causeway"))
    }
    result("ingest", {f"orthanc_{count}": ratio for count, _theirs, _mine, ratio in rows}, figures)
    return 0


def rounds(folder: Path, count: int, orthanc: Measure, ours: Measure) -> tuple[list[float], list[float]]:
    """Rates of both, round by round, each with files that neither has seen; they take turns in going first."""
    theirs, mine = [], []
    for number in range(ROUNDS):
        turns = [(orthanc, theirs), (ours, mine)][:: -1 if number % 2 else 1]
        with series(folder, SLICES, 100 * count + number) as files:
            for measure, rates in turns:
                # Neither is to pay for what the other has left to be written.
                os.sync()
                rates.append(measure(files, count))
    return theirs, mine


@contextmanager
def series(folder: Path, slices: int, seed: int) -> Iterator[Path]:
    """A folder with a new series, which is removed afterwards."""
    files = folder / f"series-{seed}"
    files.mkdir()
    ct_series(files, slices, seed)
    try:
        yield files
    finally:
        shutil.rmtree(files)


def _send(files: Path, port: int, associations: int) -> float:
    """Instances acknowledged per second."""
    report = send([files], host="127.0.0.1", port=port, associations=associations)
    if report.failed:
        raise RuntimeError(f"{len(report.failed)} files were not taken: {report.failed[0].why}")
    return len(report.sent) / report.seconds


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Measure]:
    """Debian's Orthanc with its defaults, but large PDUs and no plugins."""
    folder.mkdir()
    (http,) = free_ports(1)
    (dicom,) = free_ports(1)
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
    server = ServerProcess(
        ["Orthanc", str(folder / "orthanc.json")],
        log=folder / "orthanc.log",
        ready=lambda: _listens(dicom),
        environment={"TCP_NODELAY": "1"},
    )
    server.start()
    try:
        yield lambda files, associations: _send(files, dicom, associations)
    finally:
        server.stop()


@contextmanager
def running_ingest(folder: Path) -> Iterator[Measure]:
    """dicom_ingest as a process, on a JetStream server that syncs every message."""
    folder.mkdir()
    nats = NatsServer(folder / "nats").start()
    SiteKey.create(folder / "site.key")
    asyncio.run(provision_site(ServiceSettings(nats_url=nats.url), read_plan(*documents()), {"target": ["onsite"]}))
    (port,) = free_ports(1)
    server = ServerProcess(
        [sys.executable, "-m", "shared.service", "services.dicom_ingest.app:build"],
        log=folder / "ingest.log",
        ready=lambda: _listens(port),
        environment={
            "PYTHONPATH": str(ROOT),
            "CAUSEWAY_NATS_URL": nats.url,
            "CAUSEWAY_SITE_KEY_FILE": str(folder / "site.key"),
            "CAUSEWAY_SPOOL_DIR": str(folder / "spool"),
            "CAUSEWAY_LANDING_URL": f"file://{folder / 'landing'}",
            "CAUSEWAY_DICOM_PORT": str(port),
        },
    )
    server.start()

    def measure(files: Path, associations: int) -> float:
        measured = _send(files, port, associations)
        _wait_until_empty(folder / "spool")
        return measured

    try:
        yield measure
    finally:
        server.stop()
        nats.kill()


def _wait_until_empty(spool: Path) -> None:
    """What ours still has to do is not to slow down the other."""
    deadline = time.monotonic() + _PATIENCE
    while any(spool.glob("*/*.batch")):
        if time.monotonic() > deadline:
            raise TimeoutError("batches stay in the spool")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
