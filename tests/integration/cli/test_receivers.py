"""``causeway up --dicom-processes 2``: two processes at one port are one receiver, and either may die."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import lifecycle, send
from cli.api import Api, ApiError
from cli.embedded.ports import CLOUDS, SERVICES, free_base
from cli.main import app
from cli.site import Site, SiteDown
from cli.tls import client_context
from cli.waiting import State, Waiting, look
from tests.integration.dicom_ingest.site import RECEIVERS
from tests.support.certificates import Authority
from tests.support.instances import as_file, make_instances, uid
from tests.support.ports import free_ports

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("receivers")]

PROCESSES = ("dicom_ingest", "dicom_ingest-2")


def until(holds: Callable[[], Any], within: float = 60.0) -> None:
    """Return once it holds, whoever does not answer meanwhile."""
    deadline = time.monotonic() + within
    while True:
        try:
            if holds():
                return
        except (ApiError, SiteDown, httpx.TransportError):
            pass
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


class Door:
    """The part of a site that receives: two receivers, the bus, the index; nothing is copied anywhere."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self.site = Site(folder)
        self.site.stopped.mkdir(parents=True)
        for name in {*CLOUDS, *SERVICES} - {"dicom_ingest", "catalog"}:
            (self.site.stopped / name).touch()
        (self.tls_port,), self.authority = free_ports(1), Authority(folder.parent)
        server = self.authority.issue("localhost")
        tls = {"PORT": self.tls_port, "CERT": server.certificate, "KEY": server.key, "MUTUAL": False}
        settings = {"RECEIVER": receiver, **{f"TLS_{name}": value for name, value in tls.items()}}
        with pytest.MonkeyPatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(f"CAUSEWAY_DICOM_{name}", str(value))
            lifecycle.start(self.site, free_base(), len(PROCESSES))
        self.api = Api.of(self.site)

    def send(self, paths: list[Path]) -> None:
        """Send as a modality does, on many associations at once: again and again until all is acknowledged."""
        host, _, port = self.site.endpoints()["dicom"].rpartition(":")
        until(lambda: not send.send(paths, host=host, port=int(port), associations=12).failed)

    def process(self, name: str) -> dict[str, Any]:
        """What ``causeway status`` shows of a process."""
        told = CliRunner().invoke(app, ["status", "--data", str(self.site.data), "--json"])
        shown: dict[str, Any] = json.loads(told.stdout)["processes"][name]
        return shown

    def kill(self, name: str) -> None:
        """SIGKILL, and wait for the supervisor to start another."""
        before = self.process(name)
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: self.process(name)["restarts"] > before["restarts"])
        until(lambda: not lifecycle.not_ready(self.site))

    def wish(self, name: str, *, running: bool) -> None:
        """Have a process run, or not, and wait for it."""
        lifecycle.wish(self.site, name, running=running)
        wanted = "running" if running else "stopped"
        until(lambda: self.site.state()["processes"][name]["state"] == wanted)

    def stored_by(self, name: str) -> int:
        """How many instances one process has acknowledged, by its log."""
        lines = map(json.loads, (self.site.logs / f"{name}.log").read_text().splitlines())
        return sum(line["instances"] for line in lines if line["event"] == "association-ended")

    def spooled(self, name: str | None = None) -> int:
        """The batches that one process tells of, or the site's router."""
        state = self.site.state()
        base = state["services"][name] if name else state["endpoints"]["http"]
        return int(httpx.get(f"{base}/api/spool", timeout=10).raise_for_status().json()["batches"])

    def tells(self, name: str, batches: int) -> bool:
        """Whether a process tells of so many."""
        return self.spooled(name) == batches

    def insist_on(self, files: dict[str, Path]) -> None:
        """All of these are known with the bytes that they had, once everything is complete; none is twice."""
        waiting = Waiting(self.site, self.api, None, State.completed)
        until(lambda: not look(waiting))
        for sop_instance, path in files.items():
            (version,) = self.api.get(f"/api/where/{sop_instance}")["versions"]
            assert version["dataset_sha256"] == _digest(path), sop_instance


def _digest(path: Path) -> str:
    """SHA-256 of the data set of a Part 10 file (PS3.10 section 7.1)."""
    held = path.read_bytes()
    return sha256(held[144 + int.from_bytes(held[140:144], "little") :]).hexdigest()


@pytest.fixture(scope="module", params=RECEIVERS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One of each receiver for all tests of this module."""
    folder = tmp_path_factory.mktemp("door")
    found = Door(folder / "site", request.param)
    yield found
    lifecycle.end(found.site)


def written(folder: Path, count: int, study: str | None = None) -> dict[str, Path]:
    """One study of ``count`` images as files, by SOP instance."""
    found = {}
    for image in make_instances(count, study_uid=study):
        found[str(image.SOPInstanceUID)] = path = folder / f"{image.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(image))
    return found


def test_a_study_that_comes_on_many_associations_comes_to_both_at_either_port_and_is_one(
    door: Door, tmp_path: Path
) -> None:
    study_uid = uid()
    files = written(tmp_path, 96, study_uid)
    door.send([*files.values()])
    until(lambda: all(door.stored_by(name) for name in PROCESSES))
    before = [door.stored_by(name) for name in PROCESSES]
    secured_by = client_context(door.authority.path, None, None)
    told = send.send(files.values(), host="localhost", port=door.tls_port, associations=12, secured_by=secured_by)
    assert len(told.sent) == len(files)
    until(lambda: all(now > then for now, then in zip(map(door.stored_by, PROCESSES), before, strict=True)))
    door.insist_on(files)
    (study,) = door.api.get("/api/studies", study=study_uid)["studies"]
    assert study["instances"] == len(files)


def test_what_either_has_acknowledged_outlives_it(door: Door, tmp_path: Path) -> None:
    over = threading.Event()

    def go_on_sending() -> dict[str, Path]:
        sent: dict[str, Path] = {}
        while not over.is_set():
            files = written(tmp_path, 24)
            door.send([*files.values()])
            sent |= files
        return sent

    with ThreadPoolExecutor(1) as other:
        sending = other.submit(go_on_sending)
        for name in PROCESSES:
            time.sleep(0.5)
            door.kill(name)
        over.set()
        files = sending.result(timeout=120)
    door.insist_on(files)


def test_each_and_the_router_tell_of_what_lies_in_the_spools_of_all(door: Door, tmp_path: Path) -> None:
    files: dict[str, Path] = {}

    def lies_in_all_spools() -> bool:
        """Send once more; on a busy machine a few associations, all of one process, may carry everything."""
        more = written(tmp_path, 48)
        door.send([*more.values()])
        files.update(more)
        return len({path.parent for path in door.site.spool.glob("*/*.batch")}) == len(PROCESSES)

    door.wish("nats", running=False)
    try:
        until(lies_in_all_spools)
        batches = len(list(door.site.spool.glob("*/*.batch")))
        assert {door.spooled(), door.spooled(), *map(door.spooled, PROCESSES)} == {batches}
        for name, other in (PROCESSES, PROCESSES[::-1]):
            door.wish(name, running=False)
            assert {door.spooled(), door.spooled(), door.spooled(other)} == {batches}
            assert "landing batches are in the spool" in look(Waiting(door.site, door.api, None, State.archived))[0]
            door.wish(name, running=True)
            until(partial(door.tells, name, batches))
    finally:
        door.wish("nats", running=True)
    until(lambda: not lifecycle.not_ready(door.site))
    until(lambda: door.spooled() == 0)
    door.insist_on(files)
