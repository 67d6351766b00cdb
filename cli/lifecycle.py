"""``causeway up`` and ``down``: the life of an embedded site."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from cli.embedded.last_words import last_error
from cli.embedded.ports import CLOUDS, MOST_RECEIVERS, RECEIVER, Ports, service_of
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, speak_on_errors, table
from cli.site import Site, SiteDown, is_alive

_READY_WITHIN = 120.0


class StartFailed(Exception):
    """The site did not come up; the message says where to look."""


def up(
    data: Data = None,
    port_base: Annotated[
        int | None, typer.Option(help="First of 40 ports: DICOM N, MLLP N+1, HTTP N+2. Default 11112, 2575, 8080.")
    ] = None,
    dicom_processes: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_RECEIVERS, help="Processes that take DICOM at the one port. Default 1."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is ready; stop it with `down`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a whole site on this machine: bus, two stand-in clouds, every service. Repeating it changes nothing."""
    if as_json:
        speak_on_errors()
    site = site_of(data)
    with stopped_like_ctrl_c():
        try:
            supervisor = start(site, port_base, dicom_processes)
        except (StartFailed, SiteDown, ValueError) as error:
            fail(str(error))
        if detach or supervisor is None:
            _show(site, as_json)
        else:
            _stay(site, supervisor, as_json)


def _show(site: Site, as_json: bool) -> None:
    endpoints = site.endpoints()
    if as_json:
        emit_json({"data": str(site.data), "endpoints": endpoints})
        sys.stdout.flush()  # whoever reads it from a pipe waits for it
    else:
        table(f"Causeway runs on {site.data}", ("endpoint", "address"), endpoints.items())


def _stay(site: Site, supervisor: subprocess.Popen[bytes], as_json: bool) -> None:
    try:
        _show(site, as_json)
        say("Ctrl-C stops it.")
        sys.exit(supervisor.wait())
    except KeyboardInterrupt:
        _terminate(supervisor)


def _terminate(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    supervisor.wait()


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, as service managers send it: KeyboardInterrupt."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start(site: Site, port_base: int | None, dicom_processes: int | None = None) -> "subprocess.Popen[bytes] | None":
    """Start the supervisor of ``site`` and wait until all is ready; None when it ran already.

    Raises StartFailed with the reason, ValueError for a number out of range. An interrupt ends what was started.
    """
    ports = Ports.from_base(port_base, dicom_processes or 1)
    if site.is_up():
        _check_same(site, None if port_base is None else ports)
        _check_as_many(site, None if dicom_processes is None else ports)
        _start_what_died(site)
        wait_ready(site, None)
        return None
    if taken := ports.taken():
        raise StartFailed(f"ports in use: {', '.join(map(str, taken))}; choose others with --port-base")
    supervisor = _supervise(site, port_base, ports.receivers)
    try:
        wait_ready(site, supervisor)
    except KeyboardInterrupt:
        _terminate(supervisor)
        raise
    return supervisor


def _check_same(site: Site, ports: Ports | None) -> None:
    """StartFailed when what runs is not what is asked for."""
    state = site.state()
    if "pid" not in state:
        raise StartFailed(f"the site of {site.data} runs elsewhere, and is started there")
    if ports is not None and ports.endpoints() != state["endpoints"]:
        told = ", ".join(f"{name} {state['endpoints'][name]}" for name in ("dicom", "mllp", "http"))
        raise StartFailed(f"the site runs already at other ports ({told}): end it with `causeway down` to move it")


def _check_as_many(site: Site, ports: Ports | None) -> None:
    """StartFailed when another number of processes takes DICOM than is asked for."""
    here = [name for name in site.state()["services"] if service_of(name) == RECEIVER]
    if ports is not None and len(here) != ports.receivers:
        told = f"{len(here)} process{'es' if len(here) != 1 else ''} for DICOM"
        raise StartFailed(f"the site runs already with {told}: end it with `causeway down` to change that")


def _supervise(site: Site, port_base: int | None, dicom_processes: int) -> subprocess.Popen[bytes]:
    """A new supervisor, which outlives this command."""
    try:
        site.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartFailed(f"nothing can be written to {site.data}: {error.strerror}") from None
    wanted = ["--dicom-processes", str(dicom_processes)]
    wanted += [] if port_base is None else ["--port-base", str(port_base)]
    with (site.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "cli.embedded.supervisor", str(site.data), *wanted),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )


def _start_what_died(site: Site) -> None:
    """Wake a stand-in cloud that died by itself: stopping it once makes the supervisor start it afresh."""
    for name, process in site.state()["processes"].items():
        if process["state"] == "stopped":
            wish(site, name, running=False)
            time.sleep(0.5)
            wish(site, name, running=True)


def wait_ready(site: Site, supervisor: "subprocess.Popen[bytes] | None") -> None:
    """Wait until every service answers /readyz; StartFailed when the supervisor ends or time is up."""
    deadline = time.monotonic() + _READY_WITHIN
    missing = ["the supervisor"]
    while time.monotonic() < deadline:
        if supervisor is not None and supervisor.poll() is not None:
            raise StartFailed(f"the site did not start: see {site.logs / 'supervisor.log'}")
        missing = not_ready(site)
        if not missing:
            return
        time.sleep(0.2)
    told = f"not ready after {_READY_WITHIN:.0f} s: {', '.join(missing)}; see {site.logs}"
    raise StartFailed("\n".join((told, *_last_words(site, missing))))


def _last_words(site: Site, names: list[str]) -> Iterator[str]:
    """Of those that die again and again, why."""
    processes = site.state()["processes"] if site.is_up() else {}
    for name in names:
        if processes.get(name, {}).get("restarts"):
            yield f"{name} does not stay up\n{last_error(site.logs / f'{name}.log')}"


def not_ready(site: Site) -> list[str]:
    """The names of what does not answer yet."""
    try:
        state = site.state()
    except SiteDown:
        return ["the supervisor"]
    if not state["ready"]:
        return ["the bus and the clouds"]
    names = (*state["services"], "http", *CLOUDS)
    return [name for name in names if not is_well(state, name) and _is_wanted(site, name)]


def is_well(state: dict[str, Any], name: str) -> bool:
    """Whether a process of the site that is in ``state`` (Site.state) is ready, as far as it tells of that."""
    if name in state["services"]:
        return _answers(f"{state['services'][name]}/readyz")
    if name == "http":
        return _answers(f"{state['endpoints']['http']}/livez")
    if name == "nats":
        return _answers(f"{state['endpoints']['nats_monitor']}/healthz")
    return bool(state["processes"][name]["state"] == "running")


def _is_wanted(site: Site, name: str) -> bool:
    return not (site.stopped / name).exists()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def down(data: Data = None, as_json: Json = False) -> None:
    """Stop the site. What it holds stays in its folder."""
    site = site_of(data)
    stopped = end(site)
    if as_json:
        emit_json({"data": str(site.data), "stopped": stopped})
    else:
        say("stopped" if stopped else "nothing was running")


def end(site: Site, within: float = 60.0) -> bool:
    """Stop the supervisor and everything it keeps; False when nothing ran."""
    try:
        pid = site.state().get("pid")
    except SiteDown:
        return False
    if pid is None:  # it runs elsewhere, and is not ours to stop
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + within
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
        _reap(pid)
    if is_alive(pid):
        os.kill(pid, signal.SIGKILL)
    return True


def _reap(pid: int) -> None:
    """Collect the supervisor when it is our own child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def wish(site: Site, name: str, *, running: bool) -> None:
    """Tell the supervisor whether ``name`` shall run."""
    mark = site.stopped / name
    if running:
        mark.unlink(missing_ok=True)
    else:
        Path(mark).touch()
