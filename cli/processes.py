"""``causeway stop`` and ``start``: one process of an embedded site."""

import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from cli.embedded.last_words import last_error, size_of
from cli.embedded.ports import CLOUDS, RECEIVER, SERVICES
from cli.lifecycle import is_well, wish
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say
from cli.site import Site, SiteDown

_LOOK_EVERY = 0.1
#: A process that dies so often after its start does not stay up: once may be a port that is not free yet.
_DEATHS = 2
#: Seconds that a stand-in cloud must live, which tells nothing of its health and is not started again when it dies.
_STAYS = 1.0

_NAMES = f"One of: nats, http, {', '.join((*CLOUDS, *SERVICES))}; {RECEIVER}-2 and on where there are several."
Name = Annotated[str, typer.Argument(help=_NAMES)]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait at most.")]


def stop(name: Name, timeout: Timeout = 25, data: Data = None, as_json: Json = False) -> None:
    """Stop one process of a running site (a cloud, a service) and keep it stopped."""
    site = site_of(data)
    try:
        _known(site, name)
        wish(site, name, running=False)
        state, wrong = _stopped(site, name, timeout)
    except SiteDown as error:
        fail(str(error))
    _tell(site, name, state, wrong, "stopped", as_json=as_json)


def start(name: Name, timeout: Timeout = 25, data: Data = None, as_json: Json = False) -> None:
    """Start one process that was stopped or has died, and wait until it is ready."""
    site = site_of(data)
    try:
        before = _known(site, name)
        starting = _Starting(site, name, before.get("restarts", 0))
        if before["state"] == "stopped":
            wish(site, name, running=False)
            time.sleep(0.5)
        wish(site, name, running=True)
        state, wrong = starting.outcome(timeout)
    except SiteDown as error:
        fail(str(error))
    _tell(site, name, state, wrong, "running", as_json=as_json)


def _tell(site: Site, name: str, state: dict[str, Any], wrong: str, wanted: str, *, as_json: bool) -> None:
    if as_json:
        emit_json({name: state})
    if wrong:
        fail(f"{name} {wrong}")
    if not as_json:
        say(f"{name} is {wanted}")


def _known(site: Site, name: str) -> dict[str, Any]:
    """The process as the supervisor has it; ends the command when it has none of that name."""
    known: dict[str, dict[str, Any]] = site.state()["processes"]
    if name not in known:
        fail(f"no process is named {name}; there are: {', '.join(known)}")
    return known[name]


def _log(site: Site, name: str) -> Path:
    return site.logs / f"{name}.log"


def _stopped(site: Site, name: str, within: float) -> tuple[dict[str, Any], str]:
    """The process when it has stopped, or when time is up, and what is wrong then."""
    deadline = time.monotonic() + within
    while True:
        state: dict[str, Any] = site.state()["processes"][name]
        if state["state"] == "stopped":
            return state, ""
        if time.monotonic() > deadline:
            return state, _still(site, name, state)
        time.sleep(_LOOK_EVERY)


def _still(site: Site, name: str, state: dict[str, Any]) -> str:
    return f"is still {state['state']}: see {_log(site, name)}"


class _Starting:
    """The start of a process that died ``deaths`` times before; what it logs from now on is of this start."""

    def __init__(self, site: Site, name: str, deaths: int) -> None:
        self._site = site
        self._name = name
        self._deaths = deaths
        self._log_begins = size_of(_log(site, name))
        self._pid: int | None = None
        self._since = 0.0

    def outcome(self, within: float) -> tuple[dict[str, Any], str]:
        """The process when it is ready, when it does not stay up, or when time is up; and what is wrong with it."""
        deadline = time.monotonic() + within
        while True:
            found = self._site.state()
            state: dict[str, Any] = found["processes"][self._name]
            if self._lives(state) and is_well(found, self._name):
                return state, ""
            died = state.get("restarts", 0) - self._deaths
            is_late = time.monotonic() > deadline
            if died >= (1 if is_late or self._name in CLOUDS else _DEATHS):
                return state, self._last_words()
            if is_late:
                return state, self._wrong(found, state, within)
            time.sleep(_LOOK_EVERY)

    def _lives(self, state: dict[str, Any]) -> bool:
        """Whether it runs, and has done so for long enough for one that tells nothing of its health."""
        pid = state.get("pid") if state["state"] == "running" else None
        if pid != self._pid:
            self._pid, self._since = pid, time.monotonic()
        return pid is not None and (self._name not in CLOUDS or time.monotonic() - self._since >= _STAYS)

    def _last_words(self) -> str:
        log = _log(self._site, self._name)
        words = last_error(log, self._log_begins)
        return f"does not stay up, see {log}" + (f"\n{words}" if words else "")

    def _wrong(self, found: dict[str, Any], state: dict[str, Any], within: float) -> str:
        if state["state"] != "running":
            return _still(self._site, self._name, state)
        url = found["services"].get(self._name)
        told = _checks(url) if url else ""
        return f"runs, but is not ready after {within:g} s{told}: see {_log(self._site, self._name)}"


def _checks(url: str) -> str:
    """What a service says why it is not ready."""
    try:
        checks = httpx.get(f"{url}/readyz", timeout=2).json()["checks"]
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return ""
    return "".join(f", {name} {word}" for name, word in checks.items() if word != "ok")
