"""The steps of the demonstration."""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pydicom.data
import typer
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli import hl7, lifecycle, send
from cli.api import Api, ApiError
from cli.demo.folder import DEFAULT, NotOurs, emptied
from cli.demo.phantom import Order, order_message, slices
from cli.demo.report import Row, rows_of, show
from cli.dicom_files import Outgoing
from cli.dispatch import Report
from cli.embedded.ports import free_base
from cli.options import Json
from cli.output import console, emit_json, fail, say, speak_on_errors, warn
from cli.site import Site, SiteDown
from cli.trace import every_span, traces_with
from cli.trace import show as show_trace
from cli.waiting import State, Waiting, look

_SLICES = 200
_PATIENCE = 600.0

#: What the embedded site's policy demands of every object: (target, form).
PLANNED = (("onsite", "identified"), ("cloud-a", "identified"), ("cloud-b", "identified"), ("cloud-b", "deidentified"))


Folder = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Folder for it; what an earlier demonstration left there goes.")
]


def command(
    data: Folder = DEFAULT,
    dicom: Annotated[
        Path | None, typer.Option(help="Send these DICOM files instead of the ones that come along.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the site running afterwards.")] = False,
    as_json: Json = False,
) -> None:
    """Show Causeway at work: a site, a study and its order, and what is proven where.

    Exit status 0 when everything was acknowledged, and is proven or withheld.
    """
    if as_json:
        speak_on_errors()
    if dicom is not None and not dicom.exists():
        fail(f"no such file or folder: {dicom}")
    try:
        site = Site(emptied(data))
    except NotOurs as error:
        fail(str(error))
    with lifecycle.stopped_like_ctrl_c():
        try:
            problems = _demonstrate(site, dicom, as_json)
        except (lifecycle.StartFailed, ApiError, SiteDown) as error:
            fail(str(error))
        finally:
            if not keep:
                lifecycle.end(site)
    for problem in problems:
        warn(problem)
    sys.exit(1 if problems else 0)


def _demonstrate(site: Site, dicom: Path | None, as_json: bool) -> list[str]:
    """Everything that did not go as it should."""
    say("Starting a NATS server, two stand-in clouds and the services …")
    lifecycle.start(site, free_base())
    with tempfile.TemporaryDirectory() as scratch:
        problems = [] if dicom else send_order(site, Path(scratch))
        report = _send_images(site, dicom, Path(scratch))
    _watch(site)
    rows = _rows(site)
    if as_json:
        emit_json([{"sop_instance_uid": row.sop_instance_uid, "places": dict(row.places)} for row in rows])
    else:
        show(rows)
        _show_one_trace(site)
        _say_where_the_rest_is(site, rows)
    return [*problems, *shortcomings(report, rows)]


def shortcomings(report: Report, rows: Iterable[Row]) -> Iterator[str]:
    """What was refused although it could be sent, acknowledged and lost, or is neither proven nor withheld."""
    rows = list(rows)
    found = {row.sop_instance_uid for row in rows}
    if not report.sent:
        yield "nothing was acknowledged"
    yield from (f"not acknowledged: {problem.path}: {problem.why}" for problem in report.refused)
    yield from (f"acknowledged, and not to be found: {uid}" for uid in _uids(report.sent) if uid not in found)
    yield from (f"neither proven nor withheld: {row.sop_instance_uid}" for row in rows if not row.settled)


def _uids(sent: Iterable[Outgoing]) -> list[str]:
    return list(dict.fromkeys(one.sop_instance for one in sent))


def send_order(site: Site, scratch: Path) -> list[str]:
    """What is wrong with the answer to the order; AA (HL7 table 0008) alone is right."""
    message = scratch / "order.hl7"
    message.write_bytes(order_message(Order()))
    try:
        answered = hl7.send_files([message], *_address(site.endpoints()["mllp"]))
    except OSError as error:
        return [f"the order could not be sent: {error}"]
    say(f"order sent over HL7, answered {', '.join(answered)}")
    return [] if answered == ["AA"] else [f"the order was answered {', '.join(answered) or 'nothing'}, not AA"]


def _send_images(site: Site, dicom: Path | None, scratch: Path) -> Report:
    if dicom is None:
        with console.status(f"making a CT of {_SLICES} slices"):
            list(slices(scratch, Order(), _SLICES))
        shipped = Path(pydicom.data.__file__).parent / "test_files"
        paths = [*(path for path in sorted(shipped.rglob("*")) if path.is_file()), *sorted(scratch.glob("*.dcm"))]
    else:
        paths = [dicom]
    host, port = _address(site.endpoints()["dicom"])
    report = send.send_with_progress(paths, host=host, port=port, associations=2)
    say(report.sentence())
    return report


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host, int(port)


def _watch(site: Site) -> None:
    """Show how copies become proven until everything is archived, or patience ends."""
    api, deadline = Api.of(site), time.monotonic() + _PATIENCE
    waiting = Waiting(site, api, None, State.archived)
    columns = (TextColumn("{task.description:<24}"), BarColumn(40), MofNCompleteColumn())
    progress = Progress(*columns, console=console)
    with Live(progress, console=console, transient=True):
        bars: dict[str, Any] = {}
        while time.monotonic() < deadline:
            for name, (proven, planned) in _proven(api).items():
                bars.setdefault(name, progress.add_task(name))
                progress.update(bars[name], completed=proven, total=planned)
            if not look(waiting):
                return
            time.sleep(0.3)


def _proven(api: Api) -> dict[str, tuple[int, int]]:
    """Copies by target: proven and planned."""
    try:
        copies = api.get("/api/summary")["copies"]
    except (ApiError, KeyError):
        return {}
    return {f"{one['target']} {one['form']}": (one["proven"], one["planned"]) for one in copies}


def _documents(site: Site) -> Iterator[dict[str, Any]]:
    api = Api.of(site)
    studies = [study["study_uid"] for study in api.get("/api/studies")["studies"]]
    for study in (*studies, "-"):
        yield from api.get(f"/api/studies/{study}/where")


def _rows(site: Site) -> list[Row]:
    return rows_of(_documents(site), PLANNED)


def _show_one_trace(site: Site) -> None:
    """The trace of the first batch of the phantom, or of any: from the association to the last proof."""
    spans = every_span(site)
    refs = [span["attributes"]["study_ref"] for span in spans if "study_ref" in span["attributes"]]
    study = next((s for s in Api.of(site).get("/api/studies")["studies"] if s["study_uid"] == Order().study_uid), None)
    wanted = study["study_ref"] if study else (refs[0] if refs else None)
    for trace_id, found in list(traces_with(spans, "study_ref", wanted).items())[:1]:
        show_trace(trace_id, found)


def _say_where_the_rest_is(site: Site, rows: list[Row]) -> None:
    report = site.data / "demo.json"
    report.write_text(json.dumps([{"sop_instance_uid": r.sop_instance_uid, "places": dict(r.places)} for r in rows]))
    withheld = sum(any("withheld" in told for _, told in row.places) for row in rows)
    settled = sum(row.settled for row in rows)
    say(f"{len(rows)} objects, {settled} settled, {withheld} of them withheld from research. All of it: {report}")
