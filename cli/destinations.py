"""``causeway destinations``: the queues of those that what arrives is passed on to."""

from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table

app = typer.Typer(help="Show, hold and release the queues of the systems that are forwarded to.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A destination of destinations.yaml.")]
COLUMNS = ("destination", "backlog", "oldest", "delivered", "failed", "state")


@app.command("list")
def listed(data: Data = None, as_json: Json = False) -> None:
    """Show of each destination how many batches wait, for how long, and what became of instances."""
    found = _get(data, "")["destinations"]
    if as_json:
        emit_json(found)
    else:
        table("Destinations", COLUMNS, [row_of(one) for one in found])


@app.command()
def failures(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Show the instances that a destination did not take, and why."""
    found = _get(data, f"/{name}/failures")["failures"]
    if as_json:
        emit_json(found)
    else:
        rows = [(one["sop_instance_uid"], one["batch_id"], one["reason"]) for one in found]
        table(f"Not taken by {name}", ("SOP Instance UID", "batch", "reason"), rows)


@app.command()
def hold(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Let the queue of a destination stand, until it is released."""
    _post(data, f"/{name}/hold", f"{name} is held", as_json=as_json)


@app.command()
def release(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Let the queue of a destination go on."""
    _post(data, f"/{name}/release", f"{name} is released", as_json=as_json)


@app.command()
def retry(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Send again what a destination did not take."""
    _post(data, f"/{name}/retry", "{instances} instances are sent again", as_json=as_json)


def row_of(one: dict[str, Any]) -> tuple[object, ...]:
    """A destination as a row of COLUMNS."""
    away = f"away: {one['away']} for {one['away_for']:.0f} s" if one["away"] else ""
    state = ", ".join(filter(None, ("held" if one["held"] else "", away))) or "open"
    backlog = "?" if one["backlog"] is None else one["backlog"]
    age = "–" if one["age"] is None else f"{one['age']:.0f} s"
    return one["name"], backlog, age, one["delivered"], one["failed"], state


def _get(data: Data, path: str) -> Any:
    try:
        return Api.of(site_of(data)).get(f"/api/destinations{path}")
    except ApiError as error:
        fail(str(error))


def _post(data: Data, path: str, text: str, *, as_json: bool) -> None:
    try:
        answer = Api.of(site_of(data)).post(f"/api/destinations{path}", {})
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(answer)
    else:
        say(text.format(**answer))
