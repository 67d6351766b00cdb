"""``causeway hl7 list|show|losses|correct|resend|discard``: what was refused, not mapped, or mapped in part."""

import base64
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.hl7 import app, messages
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table

Ref = Annotated[str, typer.Argument(help="The message's ref, as `list` shows it.")]
State = Annotated[
    str | None,
    typer.Option(
        "--state",
        help="waiting, done, refused, failed, corrected, discarded; several with commas. Default: refused,failed, and "
        "any state with --flag.",
    ),
]
Flag = Annotated[str | None, typer.Option("--flag", help="Only those with this flag, such as patient-not-identified.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most.")]
Before = Annotated[int | None, typer.Option("--before", help="Go on below this number of an earlier list.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write the exact bytes there.")]
OnlyLosses = Annotated[
    bool, typer.Option("--losses", help="Instead of the message the fields that no map took; never their values.")
]
Sender = Annotated[str | None, typer.Option("--sender", help="Only what comes from this one: MSH-3, as it sends it.")]
Corrected = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The corrected message.")]

COLUMNS = ("number", "ref", "received", "sender", "type", "state", "reason", "place", "flags")


@app.command("list")
def listed(
    state: State = None,
    flag: Flag = None,
    limit: Limit = 100,
    before: Before = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show messages that need a decision, or those in other states or with a flag; never anything of what they say."""
    asked = {"state": state, "flag": flag, "before": before, "limit": limit}
    query: dict[str, str | int] = {name: value for name, value in asked.items() if value is not None}
    found = _call(data, "get", "/messages", None, **query)
    if as_json:
        emit_json(found)
        return
    table("Messages", COLUMNS, [_row(one) for one in found["messages"]])
    say(", ".join(f"{count} {name}" for name, count in sorted(found["open"].items())) or "nothing is open")


@app.command()
def show(ref: Ref, output: Output = None, only_losses: OnlyLosses = False, data: Data = None) -> None:
    """Print a message, a segment on each line, or write its exact bytes to a file. This look is logged."""
    found = _call(data, "get", f"/messages/{ref}")
    if only_losses:
        say("\n".join(found["losses"]) or "nothing was lost, or it is not mapped yet")
        return
    if found["content"] is None:
        fail("the bytes of this message are gone: the time for which they are kept is over")
    content = base64.b64decode(found["content"])
    if output is not None:
        output.write_bytes(content)
        say(f"{len(content)} bytes written to {output}")
    else:
        sys.stdout.buffer.write(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        sys.stdout.flush()


@app.command()
def losses(sender: Sender = None, limit: Limit = 100, data: Data = None, as_json: Json = False) -> None:
    """Show which fields of whose messages no map took, the most frequent first; never their values."""
    found = _call(data, "get", "/losses", None, limit=limit, **({"sender": sender} if sender is not None else {}))
    if as_json:
        emit_json(found)
    else:
        keys = ("sender", "field", "messages")
        table("Fields that no map took", keys, [tuple(one[key] for key in keys) for one in found["losses"]])


@app.command()
def correct(ref: Ref, file: Corrected, data: Data = None, as_json: Json = False) -> None:
    """Take FILE in the place of a message that was refused or has failed."""
    found = messages(file.read_bytes())
    if len(found) != 1:
        fail(f"{file}: one HL7 message is expected, {len(found)} are in it")
    _again(data, ref, {"content": base64.b64encode(found[0]).decode()}, as_json=as_json)


@app.command()
def resend(ref: Ref, data: Data = None, as_json: Json = False) -> None:
    """Take a message again as it was: after a map, a setting or the registry was mended."""
    _again(data, ref, {}, as_json=as_json)


@app.command()
def discard(ref: Ref, data: Data = None, as_json: Json = False) -> None:
    """Decide that nothing is to be done about a message. It stays in the archive."""
    answer = _call(data, "post", f"/messages/{ref}/discard")
    if as_json:
        emit_json(answer)
    else:
        say(f"{ref} is discarded")


def _again(data: Data, ref: str, body: dict[str, Any], *, as_json: bool) -> None:
    answer = _call(data, "post", f"/messages/{ref}/resend", body)
    if as_json:
        emit_json(answer)
    else:
        say(f"{answer['ref']} is taken")


def _call(data: Data, method: str, path: str, body: dict[str, Any] | None = None, **query: str | int) -> Any:
    api = Api.of(site_of(data))
    try:
        if method == "get":
            return api.get(f"/api/hl7{path}", **query)
        return api.post(f"/api/hl7{path}", body or {})
    except ApiError as error:
        fail(str(error))


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    received = one["received"][:19].replace("T", " ")
    return (
        one["sequence"], one["ref"], received, one["sender"] or "–", one["type"], one["state"],
        one["reason"] or "", one["place"] or "", " ".join(one["flags"]),
    )  # fmt: skip
