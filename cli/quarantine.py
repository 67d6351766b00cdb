"""``causeway quarantine``: what de-identification withheld, for people to look at and decide."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table, warn

app = typer.Typer(help="What de-identification withheld, for people to look at and decide.", no_args_is_help=True)

Entry = Annotated[str, typer.Argument(metavar="ID", help="The entry, as `quarantine list` shows it.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; it is kept with your name. Write no patient's name into it.")
]
State = Annotated[str, typer.Option(help="waiting, approved, rejected, cleaned, expired or all.")]

_STATES = ("waiting", "approved", "rejected", "cleaned", "expired")
_PAGE = 500


@app.command("list")
def list_entries(
    data: Data = None,
    state: State = "waiting",
    project: Annotated[str | None, typer.Option(help="Only of this project.")] = None,
    as_json: Json = False,
) -> None:
    """List withheld instances, those that wait longest first."""
    if state not in (*_STATES, "all"):
        fail(f"--state is one of {', '.join(_STATES)}, all", status=2)
    query = {"state": "" if state == "all" else state, "project": project or ""}
    found = _every(Api.of(site_of(data)), {name: value for name, value in query.items() if value})
    if as_json:
        emit_json(found)
        return
    columns = ("id", "state", "reason", "project", "modality", "since", "study_ref")
    table("Withheld", columns, [tuple(one[name] for name in columns) for one in found["withheld"]])
    say(f"{found['total']} in all")


@app.command("show")
def show_entry(
    entry: Entry,
    data: Data = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="Write before.png and after.png there: patient data."),
    ] = None,
    frame: Annotated[int, typer.Option(min=1, help="Which frame of several.")] = 1,
    as_json: Json = False,
) -> None:
    """Show one entry: why it was withheld, what would go out, and what was decided."""
    api = Api.of(site_of(data))
    found = _asked(api.get, f"/api/quarantine/{entry}")
    if pictures is not None:
        found["pictures"] = _pictures(api, entry, pictures, frame)
    _show(found, as_json)


@app.command("approve")
def approve(
    entry: Entry,
    reason: Reason,
    data: Data = None,
    candidate: Annotated[
        str | None,
        typer.Option("--candidate", help="What you looked at, as `show` calls it; what would go out now if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let an entry go out as `show` shows it, as the next part of its pack."""
    api = Api.of(site_of(data))
    if candidate is None:
        candidate = _candidate(_asked(api.get, f"/api/quarantine/{entry}"))
    _decide(api, entry, {"action": "approve", "reason": reason, "candidate": candidate}, as_json)


@app.command("reject")
def reject(entry: Entry, reason: Reason, data: Data = None, as_json: Json = False) -> None:
    """Keep an entry back for good; its bytes in quarantine are removed (the original's own copies are not)."""
    _decide(Api.of(site_of(data)), entry, {"action": "reject", "reason": reason}, as_json)


@app.command("retry")
def retry(entry: Entry, reason: Reason, data: Data = None, as_json: Json = False) -> None:
    """Clean an entry again under the project's present profile; it goes out if it may, or waits on with the reason."""
    _decide(Api.of(site_of(data)), entry, {"action": "retry", "reason": reason}, as_json)


def _every(api: Api, query: dict[str, str]) -> dict[str, Any]:
    """The whole list, page by page."""
    found: dict[str, Any] = {"total": 0, "withheld": []}
    while True:
        offset = len(found["withheld"])
        page = _asked(api.get, "/api/quarantine", limit=_PAGE, offset=offset, **query)
        found = {"total": page["total"], "withheld": found["withheld"] + page["withheld"]}
        if not page["withheld"] or len(found["withheld"]) >= page["total"]:
            return found


def _asked(ask: Callable[..., Any], *given: Any, **query: Any) -> Any:
    try:
        return ask(*given, **query)
    except ApiError as error:
        fail(str(error))


def _candidate(found: dict[str, Any]) -> str:
    """What would go out; of an entry that is decided nothing, and the service says what was decided."""
    if found["candidate"] is None and found["state"] == "waiting":
        fail(f"this entry can't go out: {found['hindrance']}")
    return found["candidate"] or "0" * 64


def _decide(api: Api, entry: str, body: dict[str, str], as_json: bool) -> None:
    found = _asked(api.post, f"/api/quarantine/{entry}", body)
    if as_json:
        emit_json(found)
        return
    say(f"{entry}: {found['outcome']}")


def _pictures(api: Api, entry: str, folder: Path, frame: int) -> list[str]:
    """The pictures that there are, written to ``folder``, readable by this user alone; what lay there is replaced."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for side in ("before", "after"):
            content = _asked(api.content, f"/api/quarantine/{entry}/{side}.png", frame=frame - 1)
            path = folder / f"{side}.png"
            path.unlink(missing_ok=True)
            if content is None:
                warn(f"there is no picture of frame {frame} {side}")
                continue
            path.touch(mode=0o600)
            path.write_bytes(content)
            written.append(str(path))
    except OSError as error:
        fail(f"nothing can be written to {folder}: {error.strerror}")
    return written


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(found)
        return
    names = ("state", "reason", "since", "project", "modality", "sop_class_uid", "size", "study_ref", "candidate",
             "hindrance")  # fmt: skip
    table(f"Entry {found['id']}", ("what", "value"), [(name, found[name]) for name in names])
    for title, key in (("What the second look found", "findings"), ("Still found in what would go out", "left")):
        if found.get(key):
            table(title, ("place", "kind"), [(one["place"], one["kind"]) for one in found[key]])
    if found["decisions"]:
        columns = ("decided", "who", "action", "outcome", "reason")
        table("Decisions", columns, [tuple(one[name] for name in columns) for one in found["decisions"]])
    for path in found.get("pictures", ()):
        say(path)
