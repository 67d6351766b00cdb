"""``causeway up``, ``down``, ``stop`` and ``start``: the life of an embedded site."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from cli.embedded.ports import CLOUDS, SERVICES, Ports
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table, warn
from cli.site import Site, SiteDown, is_alive

_READY_WITHIN = 120.0


class StartFailed(Exception):
    """The site did not come up; the message says where to look."""


def up(
    data: Data = None,
    port_base: Annotated[
        int | None, typer.Option(help="First of 40 ports: DICOM N, MLLP N+1, HTTP N+2. Default 11112, 2575, 8080.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is ready; stop it with `down`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a whole site on this machine: bus, two stand-in clouds, every service. Repeating it changes nothing."""
    site = site_of(data)
    try:
        supervisor = start(site, port_base)
    except (StartFailed, ValueError) as error:
        fail(str(error))
    endpoints = site.endpoints()
    if as_json:
        emit_json({"data": str(site.data), "endpoints": endpoints})
    else:
        table(f"Causeway runs on {site.data}", ("endpoint", "address"), endpoints.items())
    if not detach and supervisor is not None:
        say("Ctrl-C stops it.")
        _stay(supervisor)


def _stay(supervisor: subprocess.Popen[bytes]) -> None:
    try:
        sys.exit(supervisor.wait())
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()


def start(site: Site, port_base: int | None) -> "subprocess.Popen[bytes] | None":
    """Start the supervisor of ``site`` and wait until all is ready; None when it ran already.

    Raises StartFailed with the reason, ValueError for a port base out of range.
    """
    if site.is_up():
        _start_what_died(site)
        wait_ready(site, None)
        return None
    taken = Ports.from_base(port_base).taken()
    if taken:
        raise StartFailed(f"ports in use: {', '.join(map(str, taken))}; choose others with --port-base")
    site.logs.mkdir(parents=True, exist_ok=True)
    base = () if port_base is None else ("--port-base", str(port_base))
    with (site.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            (sys.executable, "-m", "cli.embedded.supervisor", str(site.data), *base),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    wait_ready(site, supervisor)
    return supervisor


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
    raise StartFailed(f"not ready after {_READY_WITHIN:.0f} s: {', '.join(missing)}; see {site.logs}")


def not_ready(site: Site) -> list[str]:
    """The names of what does not answer yet."""
    try:
        state = site.state()
    except SiteDown:
        return ["the supervisor"]
    if not state["ready"]:
        return ["the bus and the clouds"]
    answers = {name: _answers(f"{url}/readyz") for name, url in state["services"].items()}
    answers["http"] = _answers(f"{state['endpoints']['http']}/livez")
    answers |= {name: state["processes"][name]["state"] == "running" for name in CLOUDS}
    return [name for name, well in answers.items() if not well and _is_wanted(site, name)]


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


Name = Annotated[str, typer.Argument(help=f"One of: nats, http, {', '.join((*CLOUDS, *SERVICES))}.")]


def stop(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Stop one process of a running site (a cloud, a service) and keep it stopped."""
    _set(site_of(data), name, running=False, as_json=as_json)


def start_one(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Start one process that was stopped or has died."""
    _set(site_of(data), name, running=True, as_json=as_json)


def _set(site: Site, name: str, *, running: bool, as_json: bool) -> None:
    try:
        known = site.state()["processes"]
    except SiteDown as error:
        fail(str(error))
    if name not in known:
        fail(f"no process is named {name}; there are: {', '.join(known)}")
    if running and known[name]["state"] == "stopped":
        wish(site, name, running=False)
        time.sleep(0.5)
    wish(site, name, running=running)
    state = _settled(site, name, "running" if running else "stopped")
    if as_json:
        emit_json({name: state})
    elif state["state"] == ("running" if running else "stopped"):
        say(f"{name} is {state['state']}")
    else:
        warn(f"{name} is still {state['state']}")


def wish(site: Site, name: str, *, running: bool) -> None:
    """Tell the supervisor whether ``name`` shall run."""
    mark = site.stopped / name
    if running:
        mark.unlink(missing_ok=True)
    else:
        Path(mark).touch()


def _settled(site: Site, name: str, wanted: str, within: float = 25.0) -> dict[str, Any]:
    deadline = time.monotonic() + within
    state: dict[str, Any] = {}
    while time.monotonic() < deadline:
        state = site.state()["processes"][name]
        if state["state"] == wanted:
            break
        time.sleep(0.1)
    return state
