"""One embedded site for all tests of this folder, and hands to work on it."""

import asyncio
import hashlib
import io
import json
import os
import signal
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from obstore.store import S3Store

from cli import lifecycle, send
from cli.api import Api, ApiError
from cli.bus import bus_overview, connected, parameters_of
from cli.embedded.plan import site_plan
from cli.embedded.ports import Ports, free_base
from cli.embedded.prepare import sample_policy
from cli.embedded.servers import credentials
from cli.fetch import choose, read_instance
from cli.replay import replay
from cli.site import Site, SiteDown
from cli.trace import every_span
from cli.waiting import State, Waiting


class RunningSite:
    """An embedded site and what tests do to it."""

    def __init__(self, site: Site, base: int) -> None:
        self.site = site
        self.base = base

    @cached_property
    def api(self) -> Api:
        """The site's HTTP API."""
        return Api(self.site.endpoints()["http"])

    def send(self, paths: list[Path], associations: int = 2) -> send.Report:
        """Send files and insist that all were acknowledged."""
        host, _, port = self.site.endpoints()["dicom"].rpartition(":")
        report = send.send(paths, host=host, port=int(port), associations=associations)
        assert not report.failed, report.failed[:3]
        return report

    def insist(self, paths: list[Path]) -> None:
        """Send as a modality does: again and again until everything is acknowledged."""
        host, _, port = self.site.endpoints()["dicom"].rpartition(":")

        def sent() -> bool:
            return not send.send(paths, host=host, port=int(port), associations=2).failed

        self.until(sent, what="acknowledged")

    def until(self, reached: Callable[[], Any], within: float = 90.0, what: str = "") -> Any:
        """The first true value of ``reached()``; fails the test when there is none in time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                if found := reached():
                    return found
            except (ApiError, SiteDown, OSError):
                pass
            time.sleep(0.2)
        pytest.fail(f"not reached in {within:g} s: {what or reached}")

    def until_archived(self, study: str | None = None, within: float = 120.0) -> None:
        """Wait until the study, or everything, is archived."""
        waiting = Waiting(self.site, self.api, study, State.archived)
        self.until(lambda: not waiting.missing(), within, "archived")

    def where(self, uid: str) -> dict[str, Any]:
        """Where an instance lies."""
        found: dict[str, Any] = self.api.get(f"/api/where/{uid}")
        return found

    def fetch(self, uid: str, target: str, digest: str | None = None, form: str = "identified") -> bytes:
        """The Part 10 file of one copy."""
        held = io.BytesIO()
        asyncio.run(read_instance(self.site, choose(self.where(uid), target, digest, form), held))
        return held.getvalue()

    def process(self, name: str) -> dict[str, Any]:
        """What the supervisor knows of a process."""
        found: dict[str, Any] = self.site.state()["processes"][name]
        return found

    def kill(self, name: str) -> None:
        """SIGKILL a process."""
        os.kill(self.process(name)["pid"], signal.SIGKILL)

    def kill_at_work(self, name: str) -> None:
        """SIGKILL a process that has just begun on something: it is frozen until work has come."""
        if name in ("dicom_ingest", "hl7_fhir"):  # whose work does not come over the bus
            time.sleep(0.1)
        else:
            pid = self.process(name)["pid"]
            os.kill(pid, signal.SIGSTOP)
            self.until(lambda: self.lag(name), what=f"work for {name}")
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.03)
        self.kill(name)

    def until_restarted(self, name: str, restarts: int) -> None:
        """Wait until the supervisor has restarted ``name`` more often than ``restarts``."""
        self.until(lambda: self.process(name)["restarts"] > restarts, what=f"{name} restarted")

    def stop(self, name: str) -> None:
        """Keep a process from running."""
        lifecycle.wish(self.site, name, running=False)
        self.until(lambda: self.process(name)["state"] == "stopped", what=f"{name} stopped")

    def start(self, name: str) -> None:
        """Let it run again."""
        lifecycle.wish(self.site, name, running=True)
        self.until(lambda: self.process(name)["state"] == "running", what=f"{name} running")

    def cloud(self, name: str) -> S3Store:
        """The bucket of a stand-in cloud, behind the site's back."""
        keys = credentials(self.site, name)
        return S3Store(
            f"causeway-{name}",
            endpoint=f"http://127.0.0.1:{Ports.from_base(self.base).clouds[name][0]}",
            access_key_id=keys.access_key,
            secret_access_key=keys.secret_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def objects(self, cloud: str) -> set[str]:
        """Every object key in a stand-in cloud."""
        return {entry["path"] for page in obstore.list(self.cloud(cloud)) for entry in page}

    def flip(self, cloud: str, key: str, offset: int) -> None:
        """Change one byte of a stored object."""
        store = self.cloud(cloud)
        data = bytearray(obstore.get(store, key).bytes())
        data[offset] ^= 0x01
        obstore.put(store, key, bytes(data), mode="overwrite", use_multipart=False)

    def spans(self) -> list[dict[str, Any]]:
        """Every span written so far."""
        return every_span(self.site)

    def dead_letters(self) -> int:
        """How many dead letters there are."""
        return int(asyncio.run(bus_overview(self.site))["dead_letters"])

    def restart(self, name: str) -> None:
        """Stop a process and start it again, and wait until it is ready."""
        self.stop(name)
        self.start(name)
        self.until(lambda: not lifecycle.not_ready(self.site), what=f"{name} ready")

    def metrics(self, service: str) -> bytes:
        """What a service tells Prometheus."""
        return httpx.get(f"{self.site.state()['services'][service]}/metrics", timeout=10).content

    def replay(self, service: str) -> None:
        """``causeway replay SERVICE --from 1``."""
        self._on_bus(lambda js: replay(js, site_plan(), parameters_of(self.site), service, 1))

    def lag(self, service: str) -> int:
        """What waits for a service's consumers."""
        found = asyncio.run(bus_overview(self.site))["consumers"]
        return sum(one["pending"] + one["unsettled"] for one in found if one["service"] == service)

    def events(self, subject: str) -> list[dict[str, Any]]:
        """Every event of a subject that the stream holds."""
        found: list[dict[str, Any]] = self._on_bus(lambda js: _every(js, subject))
        return found

    def event_ids(self, subject: str) -> set[str]:
        """Their ids."""
        return {event["id"] for event in self.events(subject)}

    def _on_bus(self, work: Callable[[JetStreamContext], Coroutine[Any, Any, Any]]) -> Any:
        async def run() -> Any:
            async with connected(self.site.endpoints()["nats"]) as jetstream:
                return await work(jetstream)

        return asyncio.run(run())


async def _every(jetstream: JetStreamContext, subject: str) -> list[dict[str, Any]]:
    stream, number, found = subject.split(".")[0].upper(), 1, []
    while True:
        try:
            raw = await jetstream.get_msg(stream, seq=number, subject=subject, next=True)
        except NotFoundError:
            return found
        found.append(json.loads(raw.data or b"{}"))
        number = (raw.seq or number) + 1


def own_base() -> int:
    """A free base that no other test process takes meanwhile: each has a range of its own to look in."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return free_base(20000 + 1000 * number)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A site that lives as long as the tests of this folder."""
    site, base = Site(tmp_path_factory.mktemp("site")), own_base()
    site.config.mkdir(parents=True)
    # As shipped, but sooner impatient: one test waits until a copy is overdue.
    site.policy.write_text(sample_policy().read_text().replace("archived: 60s", "archived: 30s"))
    lifecycle.start(site, base)
    yield RunningSite(site, base)
    lifecycle.end(site)


def dataset_digest(file: bytes) -> str:
    """SHA-256 of the data set of a Part 10 file: everything behind the file meta information (PS3.10 section 7.1)."""
    length = struct.unpack_from("<L", file, 140)[0]
    return hashlib.sha256(file[144 + length :]).hexdigest()


@pytest.fixture
def digest_of() -> Callable[[bytes], str]:
    """The digest of a data set."""
    return dataset_digest
