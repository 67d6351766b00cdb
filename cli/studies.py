"""``causeway status``, ``wait`` and ``where``: what is here, how far it is, where it lies."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from nats.js.errors import APIError

from cli import destinations, receivers
from cli.api import Api, ApiError
from cli.bus import BusDown, bus_overview
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table
from cli.site import SiteDown
from cli.targets import NoTargets
from cli.waiting import State, Waiting, look

_LOOK_EVERY = 0.3
_SECTIONS = ("studies", "copies", "destinations", "receivers", "messages", "consumers", "dead_letters")


def status(data: Data = None, as_json: Json = False) -> None:
    """Show endpoints, processes, studies, copies, destinations, HL7, the lag of every consumer, and dead letters.

    Exit status 1 when one of them could not be asked for; the others are shown all the same.
    """
    site = site_of(data)
    try:
        state = site.state()
    except SiteDown as error:
        fail(str(error))
    api = Api.of(site)
    document: dict[str, Any] = {"endpoints": state["endpoints"], "processes": state["processes"]}
    document["studies"] = _or_error(lambda: api.get("/api/studies"))
    document["copies"] = _or_error(lambda: api.get("/api/summary"))
    document["destinations"] = _or_error(lambda: api.get("/api/destinations"))
    document["receivers"] = _or_error(lambda: api.get("/api/receivers")["receivers"])
    document["messages"] = _or_error(lambda: _messages(api))
    told = _or_error(lambda: asyncio.run(bus_overview(site)))
    document |= dict.fromkeys(("consumers", "dead_letters"), told) if _failed(told) else told
    if as_json:
        emit_json(document)
    else:
        _show(document)
    if failed := [name for name in _SECTIONS if _failed(document[name])]:
        fail(f"not answered: {', '.join(failed)}")


def _or_error(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (ApiError, BusDown, NoTargets, SiteDown) as error:
        return {"error": str(error)}
    except APIError as error:
        return {"error": f"the bus refuses: {error.description or type(error).__name__}"}


def _messages(api: Api) -> dict[str, int]:
    """How many HL7 messages wait to be mapped, and how many need a person."""
    found = api.get("/api/hl7/messages", limit=1)["open"]
    return {state: found.get(state, 0) for state in ("waiting", "refused", "failed")}


def _failed(section: Any) -> bool:
    return isinstance(section, dict) and "error" in section


def _show(document: dict[str, Any]) -> None:
    table("Endpoints", ("name", "address"), document["endpoints"].items())
    rows = [(name, p["state"], p["pid"], p["restarts"]) for name, p in document["processes"].items()]
    table("Processes", ("name", "state", "pid", "restarts"), rows)
    for name in _SECTIONS:
        if _failed(document[name]):
            say(f"{name.replace('_', ' ')}: not answered: {document[name]['error']}")
        else:
            _SHOWN[name](document[name])


def _show_studies(section: dict[str, Any]) -> None:
    rows = [(s["study_ref"][:12], s["state"], s["series"], s["instances"], s["revision"]) for s in section["studies"]]
    table("Studies", ("study_ref", "state", "series", "instances", "revision"), rows)


def _show_copies(section: dict[str, Any]) -> None:
    counts = {name: value for name, value in section.items() if not isinstance(value, dict | list)}
    table("Copies", ("what", "count"), counts.items())


def _show_destinations(section: dict[str, Any]) -> None:
    if section["destinations"]:
        table("Destinations", destinations.COLUMNS, [destinations.row_of(one) for one in section["destinations"]])


def _show_receivers(section: list[dict[str, Any]]) -> None:
    if section:
        table("Receivers of HL7 messages", receivers.COLUMNS, [receivers.row_of(one) for one in section])


def _show_messages(section: dict[str, int]) -> None:
    told = f"HL7 messages: {section['waiting']} wait to be mapped"
    told += f", {section['refused']} refused, {section['failed']} failed"
    say(f"{told} (`causeway hl7 list`)" if section["refused"] or section["failed"] else told)


def _show_consumers(section: list[dict[str, Any]]) -> None:
    lags = [lag for lag in section if lag["pending"] or lag["unsettled"] or not lag["exists"]]
    rows = [(lag["consumer"], lag["pending"], lag["unsettled"], "" if lag["exists"] else "MISSING") for lag in lags]
    table("Consumers with work", ("consumer", "pending", "in work", ""), rows)


_SHOWN: dict[str, Callable[[Any], None]] = {
    "studies": _show_studies,
    "copies": _show_copies,
    "destinations": _show_destinations,
    "receivers": _show_receivers,
    "messages": _show_messages,
    "consumers": _show_consumers,
    "dead_letters": lambda count: say(f"dead letters: {count}"),
}


def wait(
    data: Data = None,
    everything: Annotated[bool, typer.Option("--all", help="Wait for every study and every landing batch.")] = False,
    study: Annotated[str | None, typer.Option(help="Study Instance UID to wait for.")] = None,
    state: Annotated[State, typer.Option(help="How far it must be.")] = State.archived,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 300,
    as_json: Json = False,
) -> None:
    """Wait until a study, or everything, is completed or archived. Exit status 1 when the time is up."""
    if everything == (study is not None):
        fail("say either --all or --study UID", status=2)
    site = site_of(data)
    api = Api.of(site)
    waiting = Waiting(site, api, study, state)
    deadline = time.monotonic() + timeout
    missing: list[str] = ["an answer"]
    while missing and time.monotonic() < deadline:
        missing = look(waiting)
        if missing:
            time.sleep(_LOOK_EVERY)
    if as_json:
        emit_json({"state": state.value, "reached": not missing, "waiting_for": missing})
    elif not missing:
        say(f"{'everything' if everything else 'the study'} is {state.value}")
    if missing:
        fail(f"not {state.value} after {timeout:g} s: {'; '.join(missing[:5])}")


def where(
    sop_instance_uid: Annotated[str, typer.Argument(help="SOP Instance UID.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show every copy of every version of an instance, and when each was last proven."""
    try:
        document = Api.of(site_of(data)).get(f"/api/where/{sop_instance_uid}")
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(document)
        return
    for version in document["versions"]:
        _show_version(version)


def _show_version(version: dict[str, Any]) -> None:
    """The copies, those that went out late with what they were withheld for; then what is withheld and called back."""
    released = {out["pack_id"] for out in version["released"]}
    title = f"version {version['version']}: data set {version['dataset_sha256']} ({version['transfer_syntax']})"
    _show_places(title, [copy for copy in version["copies"] if copy["pack_id"] not in released])
    for out in version["released"]:
        title = f"released to {out['project']} (it was withheld for {out['reason']} before) in pack {out['pack_id']}"
        mine = [copy for copy in version["copies"] if copy["pack_id"] == out["pack_id"]]
        if mine:
            _show_places(title, mine)
        else:
            say(f"{title}: there is no copy")
    for held in version["withheld"]:
        say(f"withheld from {held['project']}: {held['reason']}")
    for back in version["recalled"]:
        profile = f"{back['profile']} {back['profile_version']}"
        say(f"called back from {back['project']}, where it was out under profile {profile}: {back['recalled'][:19]}")


def _show_places(title: str, copies: list[dict[str, Any]]) -> None:
    columns = ("target", "form", "generation", "state", "proven", "object and range")
    table(title, columns, [_copy_row(copy) for copy in copies])


def _copy_row(copy: dict[str, Any]) -> tuple[object, ...]:
    proven = (copy["proven"] or "–")[:19]
    place = f"{copy['key']} [{copy['offset']}, +{copy['length']}]"
    return copy["target"], copy["form"], copy["generation"], copy["state"], proven, place
