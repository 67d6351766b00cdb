"""``causeway matches``: studies that nothing ties to an order for certain, for people to look at and decide."""

from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table

app = typer.Typer(help="Studies that nothing ties to their order or patient for certain.", no_args_is_help=True)

Match = Annotated[str, typer.Argument(metavar="ID", help="The study, as `matches list` shows it.")]
Order = Annotated[str | None, typer.Option(help="Tie it to this ServiceRequest.")]
Patient = Annotated[str | None, typer.Option(help="It is of this Patient.")]
Dismiss = Annotated[bool, typer.Option("--dismiss", help="Let it be: nothing more to do for what it waits for now.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take back what was decided; the rules decide again.")]


@app.command("list")
def list_matches(
    data: Data = None,
    reason: Annotated[str | None, typer.Option(help="Only those that wait for this reason.")] = None,
    as_json: Json = False,
) -> None:
    """List studies that wait for a person, those that wait longest first."""
    found = _ask(Api.of(site_of(data)), "/api/matches", **({"reason": reason} if reason else {}))
    if as_json:
        emit_json(found)
        return
    rows = [
        (one["id"], " ".join(one["modalities"]), one["instances"], " ".join(one["reasons"]), one["since"])
        for one in found["matches"]
    ]
    table("Studies that wait", ("id", "modality", "instances", "why", "since"), rows)
    say(f"{found['total']} in all")


@app.command("show")
def show_match(match: Match, data: Data = None, as_json: Json = False) -> None:
    """Show one study: why it waits, which orders may be meant, what was decided."""
    _show(_ask(Api.of(site_of(data)), f"/api/matches/{match}"), as_json)


@app.command("decide")
def decide_match(
    match: Match,
    data: Data = None,
    order: Order = None,
    patient: Patient = None,
    dismiss: Dismiss = False,
    undo: Undo = False,
    as_json: Json = False,
) -> None:
    """Decide of a study. The decision is written down with your name and holds whatever arrives later."""
    given: dict[str, Any] = {"order": order, "patient": patient, "dismiss": dismiss, "undo": undo}
    wanted = {name: value for name, value in given.items() if value}
    if len(wanted) != 1:
        fail("say one of --order ID, --patient ID, --dismiss, --undo", status=2)
    try:
        found = Api.of(site_of(data)).post(f"/api/matches/{match}", wanted)
    except ApiError as error:
        fail(str(error))
    _show(found, as_json)


def _ask(api: Api, path: str, **query: str) -> Any:
    try:
        return api.get(path, **query)
    except ApiError as error:
        fail(str(error))


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(found)
        return
    plain = ("study_uid", "started", "patient", "basis", "since")
    lists = ("modalities", "orders", "reasons")
    values = [(name, found[name]) for name in plain] + [(name, " ".join(found[name])) for name in lists]
    table(f"Study {found['id']}", ("what", "value"), values)
    columns = ("order", "confidence", "for", "against", "procedure", "scheduled", "status")
    rows = [tuple(_plain(one[name]) for name in columns) for one in found["candidates"]]
    table("Orders that may be meant", columns, rows)
    journal = ("decided", "who", "kind", "target")
    if found["decisions"]:
        table("Decisions", journal, [tuple(one[name] for name in journal) for one in found["decisions"]])


def _plain(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value
