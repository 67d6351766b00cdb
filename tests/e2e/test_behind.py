"""What worked before goes on working: whatever is behind the site gets everything, with no cloud in reach."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset

from cli import lifecycle, send
from cli.embedded.ports import CLOUDS
from cli.site import Site
from tests.e2e.conftest import RunningSite, own_base
from tests.integration.forwarding.orthanc import Orthanc
from tests.integration.forwarding.site import StoreScp, landed
from tests.integration.forwarding.stow import Stow, served
from tests.support.instances import as_file, make_instances
from tests.support.ports import free_ports

pytestmark = [pytest.mark.xdist_group("behind"), pytest.mark.timeout(400), pytest.mark.slow, pytest.mark.dcmtk]

#: Two hours a thousand times as fast, and the pauses between two attempts with them.
ABSENCE = 2 * 3600 / 1000
PAUSES = {"CAUSEWAY_BREAKER_FIRST": "0.05", "CAUSEWAY_BREAKER_LONGEST": "0.5"}
US = ("nats", "forwarding", "dicom_ingest")


@dataclass(frozen=True)
class Behind:
    """What is behind the site: an old PACS, a VNA, and an AI node for MR."""

    pacs: Orthanc
    vna: Stow
    node: StoreScp


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    """All of it, started."""
    if shutil.which("storescp") is None:
        pytest.skip("no dcmtk: apt-get install dcmtk")
    found = Behind(Orthanc(tmp_path), Stow(), StoreScp(tmp_path / "node"))
    servers = (found.pacs.server, found.node.server)
    for server in servers:
        server.start(timeout=60)
    yield found
    for server in servers:
        server.kill()


@pytest.fixture
def running(
    behind: Behind, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSite]:
    """A site before them, from whose services both clouds are cut off."""
    for name, value in PAUSES.items():
        monkeypatch.setenv(name, value)
    (port,) = free_ports(1)
    site, base = Site(tmp_path_factory.mktemp("behind")), own_base()
    site.config.mkdir(parents=True)
    named = {
        "old": {"kind": "dicom", "host": "127.0.0.1", "port": behind.pacs.port, "timeout": 20},
        "vna": {"kind": "stow", "url": f"http://127.0.0.1:{port}/dicom-web", "timeout": 20},
        "node": {"kind": "dicom", "host": "127.0.0.1", "port": behind.node.port, "match": [{"modality": "MR"}]},
    }
    site.destinations.write_text(yaml.safe_dump({"destinations": named}))
    with served(behind.vna, port):
        lifecycle.start(site, base)
        found = RunningSite(site, base)
        for cloud in CLOUDS:
            found.stop(cloud)
        yield found
        lifecycle.end(site)


@dataclass(frozen=True)
class Study:
    """Its files in the order in which they are sent, and its data sets by SOP Instance UID in that order."""

    paths: list[Path]
    data_sets: dict[str, bytes]


def study(folder: Path, modality: str, count: int) -> Study:
    """A study of ``count`` images of 128 kB."""
    images: list[Dataset] = make_instances(count, rows=256, Modality=modality)
    contents = [as_file(image) for image in images]
    here = folder / str(images[0].StudyInstanceUID)
    here.mkdir()
    paths = [here / f"{number:05d}.dcm" for number in range(count)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Study(paths, dict(map(data_set, contents)))


def data_set(file: bytes) -> tuple[str, bytes]:
    """SOP Instance UID and data set of a Part 10 file."""
    _, instance = landed(file)
    return instance.sop_instance_uid, file[instance.dataset_offset :]


def away(running: RunningSite, name: str) -> None:
    """SIGKILL, and it stays away."""
    running.kill(name)
    lifecycle.wish(running.site, name, running=False)
    running.until(lambda: running.process(name)["state"] == "stopped", what=f"{name} away")


def insist(running: RunningSite, one: Study) -> None:
    """Send on one association as a modality does: from the first on, until everything was acknowledged."""
    host, _, port = running.site.endpoints()["dicom"].rpartition(":")
    running.until(lambda: not send.send(one.paths, host=host, port=int(port), associations=1).failed, what="sent")


def rows(running: RunningSite) -> dict[str, dict[str, Any]]:
    """Where each queue stands."""
    return {row["name"]: row for row in running.api.get("/api/destinations")["destinations"]}


def pacs_holds(pacs: Orthanc) -> int:
    """How many instances the old PACS has."""
    return asyncio.run(pacs.count())


def test_all_that_is_behind_gets_everything_once_whatever_is_away_or_killed(
    running: RunningSite, behind: Behind, tmp_path: Path
) -> None:
    """They are away, then the bus, passing on and receiving are killed and stay away; each comes back by itself."""
    studies = [study(tmp_path, modality, 100) for modality in ("CT", "MR", "CT", "MR")]
    insist(running, studies[0])
    running.until(lambda: pacs_holds(behind.pacs) >= 20, what="the old PACS has begun")
    running.kill("forwarding")  # in the middle of a batch; the supervisor starts another
    behind.pacs.server.kill()
    behind.node.server.kill()
    behind.vna.answers = [(503, {})] * 100_000
    insist(running, studies[1])
    running.until(lambda: rows(running)["old"]["away"] and rows(running)["vna"]["away"], what="they are missed")

    away(running, "nats")
    away(running, "forwarding")
    with ThreadPoolExecutor(1) as modality:  # what is received now lies in the spool, and its receiver is killed once
        sent = modality.submit(insist, running, studies[2])
        time.sleep(0.5)
        os.kill(running.process("dicom_ingest")["pid"], signal.SIGKILL)
        sent.result(timeout=90)
    insist(running, studies[3])
    away(running, "dicom_ingest")
    time.sleep(ABSENCE)

    for name in US:
        running.start(name)
    running.until(lambda: not lifecycle.not_ready(running.site), what="ready")
    behind.pacs.server.start(timeout=60)
    behind.node.server.start(timeout=60)
    behind.vna.answers = []
    every = {uid: data for one in studies for uid, data in one.data_sets.items()}
    of_mr = {uid: data for one in studies[1::2] for uid, data in one.data_sets.items()}
    # What was stored in the moment of a crash and not acknowledged comes a second time: sums may be larger.
    wanted = {"old": len(every), "vna": len(every), "node": len(of_mr)}
    running.until(
        lambda: all(row["delivered"] >= wanted[name] for name, row in rows(running).items()), 120, "delivered"
    )
    running.until(lambda: not any(row["backlog"] for row in rows(running).values()), what="nothing waits")
    running.until(lambda: not running.api.get("/api/spool")["batches"], what="nothing is in the spool")
    running.until(lambda: not any(row["backlog"] for row in rows(running).values()), what="nothing waits")

    arrivals, files = asyncio.run(_told(behind.pacs))
    uids = {name: data_set(file) for name, file in files.items()}
    assert len(arrivals) == len(set(arrivals)) == len(every)
    assert dict(uids.values()) == every
    for one in studies:
        assert [uids[name][0] for name in arrivals if uids[name][0] in one.data_sets] == list(one.data_sets)
    assert dict(map(data_set, behind.vna.parts)) == every
    assert all(every[uid] == data for uid, data in map(data_set, behind.vna.parts))
    assert behind.node.data_sets() == of_mr
    assert {name: row["failed"] for name, row in rows(running).items()} == dict.fromkeys(wanted, 0)
    assert {running.process(cloud)["state"] for cloud in CLOUDS} == {"stopped"}
    assert running.dead_letters() == 0


async def _told(pacs: Orthanc) -> tuple[list[str], dict[str, bytes]]:
    return await pacs.arrivals(), await pacs.files()
