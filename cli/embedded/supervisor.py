"""Keeps the processes of an embedded site running: ``python -m cli.embedded.supervisor DATA [--port-base N]
[--dicom-processes N]``.

It starts each process, writes what runs to ``run/site.json``, restarts what dies (with a growing pause), and obeys
the files in ``run/stopped``: a process named there is stopped and stays so. A stand-in cloud that dies stays dead
until somebody starts it again, because an outage is what it is there to show.
"""

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.embedded.ports import CLOUDS, Ports
from cli.embedded.prepare import ensure_cloud, other_clouds, prepare, provision
from cli.embedded.servers import Process, cloud, nats
from cli.embedded.services import router, services
from cli.site import Site, write_atomically

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY = 0.2
_CLOUD_WAIT = 30.0


def _die_with_parent() -> None:
    """Ask Linux to end this child when the supervisor dies, so that a killed site leaves nothing behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)


@dataclass
class Kept:
    """A process under the supervisor's care."""

    process: Process
    running: asyncio.subprocess.Process | None = None
    restarts: int = 0
    not_before: float = 0.0
    given_up: bool = False

    def as_json(self) -> dict[str, Any]:
        alive = self.running is not None and self.running.returncode is None
        return {
            "pid": self.running.pid if alive and self.running else None,
            "state": "running" if alive else "stopped",
            "restarts": self.restarts,
        }


@dataclass
class Supervisor:
    """The processes of one site, in the order in which they start."""

    site: Site
    ports: Ports
    kept: dict[str, Kept] = field(default_factory=dict)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    ready: bool = False
    buckets: set[asyncio.Task[None]] = field(default_factory=set)
    _written: str = ""

    async def run(self) -> None:
        """Start everything, keep it running, and end it in reverse order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ending.set)
        watch = asyncio.create_task(self._watch())
        try:
            await self._bring_up()
            await self.ending.wait()
        finally:
            self.ending.set()
            await watch
            await self._bring_down()

    async def _bring_up(self) -> None:
        """Everything starts at once: services wait by themselves for the bus, its streams and the clouds."""
        servers = (nats(self.site, self.ports), *(cloud(self.site, self.ports, name) for name in CLOUDS))
        for process in (*servers, *services(self.site, self.ports), router(self.site, self.ports)):
            self._keep(process)
        await provision(self.site, self.ports)
        await self._wait_for_clouds()
        for name in other_clouds(self.site):
            self._make_buckets(name)
        self.ready = True

    async def _wait_for_clouds(self) -> None:
        """A cloud that comes up slowly or not at all is no reason not to start: copies to it wait."""
        await asyncio.sleep(_LOOK_EVERY)
        if self.buckets:
            await asyncio.wait(self.buckets, timeout=_CLOUD_WAIT)

    def _keep(self, process: Process) -> None:
        self.kept[process.name] = Kept(process)

    async def _watch(self) -> None:
        while not self.ending.is_set():
            for kept in list(self.kept.values()):
                await self._tend(kept)
            self._write_state()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), _LOOK_EVERY)

    async def _tend(self, kept: Kept) -> None:
        wanted = not (self.site.stopped / kept.process.name).exists()
        alive = kept.running is not None and kept.running.returncode is None
        if not wanted:
            if alive:
                await self._end(kept)
            # Whoever wants it again does not wait for what it was before.
            kept.running, kept.given_up, kept.not_before = None, False, 0.0
        elif not alive and not kept.given_up:
            await self._restart(kept)

    async def _restart(self, kept: Kept) -> None:
        if kept.running is not None:
            kept.running = None
            kept.restarts += 1
            # A cloud that cannot even start (a port not free yet) is no outage to be shown.
            kept.given_up = self.ready and not kept.process.restarts
            kept.not_before = time.monotonic() + min(0.25 * 2 ** min(kept.restarts, 6), 10)
        if not kept.given_up and time.monotonic() >= kept.not_before:
            kept.running = await self._start(kept.process)
            if kept.process.name in CLOUDS:
                self._make_buckets(kept.process.name)

    def _make_buckets(self, cloud: str) -> None:
        task = asyncio.create_task(ensure_cloud(self.site, cloud))
        self.buckets.add(task)
        task.add_done_callback(self.buckets.discard)

    async def _start(self, process: Process) -> asyncio.subprocess.Process:
        with (self.site.logs / f"{process.name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *process.command,
                env={**os.environ, **process.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    async def _end(self, kept: Kept) -> None:
        running = kept.running
        if running is None or running.returncode is not None:
            return
        running.terminate()
        try:
            await asyncio.wait_for(running.wait(), kept.process.grace)
        except TimeoutError:
            running.kill()
            await running.wait()

    async def _bring_down(self) -> None:
        for task in self.buckets:
            task.cancel()
        names = list(self.kept)
        servers = [name for name in names if name in ("nats", *CLOUDS)]
        await asyncio.gather(*(self._end(self.kept[name]) for name in names if name not in servers))
        await asyncio.gather(*(self._end(self.kept[name]) for name in servers))
        self.site.state_file.unlink(missing_ok=True)

    def _write_state(self) -> None:
        state = json.dumps(
            {
                "pid": os.getpid(),
                "ready": self.ready,
                "endpoints": self.ports.endpoints(),
                "services": {name: f"http://127.0.0.1:{port}" for name, port in self.ports.services.items()},
                "processes": {name: kept.as_json() for name, kept in self.kept.items()},
            },
            indent=1,
        )
        if state != self._written:
            write_atomically(self.site.state_file, state)
            self._written = state


def main() -> int:
    """Run the supervisor until SIGTERM; 1 when another one has the folder, or when the site can't be brought up."""
    parser = argparse.ArgumentParser(prog="causeway-supervisor")
    parser.add_argument("data", type=Path)
    parser.add_argument("--port-base", type=int)
    parser.add_argument("--dicom-processes", type=int, default=1)
    arguments = parser.parse_args()
    site, ports = Site(arguments.data), Ports.from_base(arguments.port_base, arguments.dicom_processes)
    prepare(site, ports)
    with (site.run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"another supervisor runs for {site.data}", file=sys.stderr)
            return 1
        asyncio.run(Supervisor(site, ports).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
