"""``causeway hl7 receivers``: the queues of those that HL7 messages go on to."""

from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table

app = typer.Typer(help="Show, hold and release the queues of the receivers of HL7 messages.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A receiver of receivers.yaml, or one that was.")]
Number = Annotated[int | None, typer.Option("--number", min=1, help="One message, by its number (see `messages`).")]
COLUMNS = ("receiver", "waiting", "oldest", "aside", "delivered", "state")


@app.command("list")
def listed(data: Data = None, as_json: Json = False) -> None:
    """Show of each receiver how many messages wait, for how long, and how many were delivered or set aside."""
    found = _get(data, "")["receivers"]
    if as_json:
        emit_json(found)
    else:
        table("Receivers", COLUMNS, [row_of(one) for one in found])


@app.command()
def messages(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Show the messages that were set aside, and the one that is tried in vain, with the reason."""
    found = _get(data, f"/{name}/messages")["messages"]
    if as_json:
        emit_json(found)
    else:
        keys = ("number", "kind", "state", "reason", "attempts", "ref")
        table(f"Not taken by {name}", keys, [tuple(one[key] for key in keys) for one in found])


@app.command()
def hold(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Let the queue of a receiver stand, until it is released."""
    _post(data, f"/{name}/hold", {}, f"{name} is held", as_json=as_json)


@app.command()
def release(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Let the queue of a receiver go on."""
    _post(data, f"/{name}/release", {}, f"{name} is released", as_json=as_json)


@app.command()
def retry(name: Name, number: Number = None, data: Data = None, as_json: Json = False) -> None:
    """Send again what was set aside, all of it or one message, in its old order before what waits."""
    _post(data, f"/{name}/retry", _named(number), "{messages} messages are sent again", as_json=as_json)


@app.command()
def discard(
    name: Name,
    number: Number = None,
    everything: Annotated[bool, typer.Option("--everything", help="The whole queue: also what waits.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give up what was set aside, or one message in whatever state: the receiver never gets it."""
    body = {**_named(number), **({"everything": True} if everything else {})}
    _post(data, f"/{name}/discard", body, "{messages} messages are given up", as_json=as_json)


def row_of(one: dict[str, Any]) -> tuple[object, ...]:
    """A receiver as a row of COLUMNS."""
    state = "held" if one["held"] else f"away: {one['away']} for {one['away_for']:.0f} s" if one["away"] else "open"
    age = "–" if one["age"] is None else f"{one['age']:.0f} s"
    state = state if one["named"] else "removed"
    return one["name"], one["waiting"], age, one["aside"], one["delivered"], state


def _named(number: int | None) -> dict[str, Any]:
    return {} if number is None else {"number": number}


def _get(data: Data, path: str) -> Any:
    try:
        return Api.of(site_of(data)).get(f"/api/receivers{path}")
    except ApiError as error:
        fail(str(error))


def _post(data: Data, path: str, body: dict[str, Any], text: str, *, as_json: bool) -> None:
    try:
        answer = Api.of(site_of(data)).post(f"/api/receivers{path}", body)
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(answer)
    else:
        say(text.format(**answer))
