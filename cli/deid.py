"""``causeway reidentify`` and ``causeway deid``: the way back from pseudonyms, merged patients, recalls."""

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table, warn

app = typer.Typer(help="What went out de-identified: who it is, who was merged since, what is called back.")
identity_map = typer.Typer(help="The map from pseudonyms to people. It stays on site.", no_args_is_help=True)
app.add_typer(identity_map, name="map")
recalls = typer.Typer(help="Call back what went out under a profile that proved too weak.")
app.add_typer(recalls, name="recall")

Project = Annotated[str, typer.Option(help="The research project.")]
Reason = Annotated[str, typer.Option(help="Why; written down with your name, and never in a log.")]
Undo = Annotated[str | None, typer.Option(help="Take back the merge of this patient, as the list shows them.")]


def reidentify(
    project: Project,
    reason: Reason,
    uid: Annotated[str | None, typer.Option(help="A new study, series or SOP Instance UID.")] = None,
    patient: Annotated[str | None, typer.Option(help="A pseudonym.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Lead back from a pseudonym or a new UID to the original. That you asked, and why, is written down first."""
    if (uid is None) == (patient is None):
        fail("say one of --uid UID, --patient PSEUDONYM", status=2)
    wanted = {"uid": uid} if uid else {"patient": patient}
    found = _post(data, "/api/deid/reidentify", {"project": project, "reason": reason, **wanted})
    if as_json:
        emit_json(found)
        return
    rows = [(one["kind"], one.get("issuer", ""), one["original"]) for one in found["found"]]
    table("Original", ("what", "issuer", "original"), rows)
    say(f"written down as {found['disclosure']}")


@identity_map.command("export")
def export(
    project: Project,
    reason: Reason,
    output: Annotated[Path, typer.Option("--output", "-o", help="A file that is not there yet.")],
    data: Data = None,
) -> None:
    """Write the whole map of a project, one JSON object per line, to a file that only you may read."""
    api = Api.of(site_of(data))
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"{output}: {error.strerror}")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in api.stream("/api/deid/export", {"project": project, "reason": reason}):
                file.write(chunk)
    except ApiError as error:
        output.unlink()
        fail(str(error))
    say(f"written to {output}")


@app.command("merged")
def merged(
    data: Data = None,
    undo: Undo = None,
    reason: Annotated[str | None, typer.Option(help="Why it is taken back; written down with your name.")] = None,
    as_json: Json = False,
) -> None:
    """List what went out of merged patients under a pseudonym that is not theirs any more; it is not changed."""
    if (undo is None) != (reason is None):
        fail("say both --undo PATIENT and --reason TEXT, or neither", status=2)
    if undo:
        done = _post(data, f"/api/deid/merged/{quote(undo, safe='')}/undo", {"reason": reason})
        say(f"taken back: what goes out from now on is the patient's own again; written down as {done['undone']}")
        return
    found = _get(data, "/api/deid/merged")
    if as_json:
        emit_json(found)
        return
    rows = [(one["project"], one["pseudonym"], one["now"], len(one["packs"]), one["person"]) for one in found["merged"]]
    table("Merged since they went out", ("project", "out as", "now", "packs", "patient"), rows)


@app.command("report")
def report(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="A planned pack, or a de-identified one.")],
    data: Data = None,
    statement: Annotated[
        bool, typer.Option("--statement", help="Print the de-identification statement alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what was done to which attribute by which rule, how often, and what was withheld for which reason.

    No value of any original is in it.
    """
    found = _get(data, f"/api/deid/reports/{pack}")
    if as_json:
        emit_json(found)
        return
    for one in found["reports"]:
        if statement:
            say(one["statement"])
            continue
        profile = one["profile"]
        say(f"pack {one['pack_id']}: {one['instances']} instances, profile {profile['name']} {profile['version']}"
            f" ({profile['legal_basis']}), PS3.15 {one['edition']}")  # fmt: skip
        if one["steps"]:
            steps = [tuple(step.values()) for step in one["steps"]]
            table("What was done", ("attribute", "action", "rule", "times"), steps)
        if one["withheld"]:
            table("Withheld", ("reason", "instances"), list(one["withheld"].items()))
        if entries := [(each["entry"], each["reason"]) for each in one.get("entries", ())]:  # earlier ones told of none
            table("What was withheld, as `quarantine show` calls it", ("entry", "reason"), entries)


@recalls.callback(invoke_without_command=True)
def recall(
    context: typer.Context,
    profile: Annotated[str, typer.Option(help="Name of the profile.")] = "basic",
    profile_version: Annotated[str | None, typer.Option(help="The version of it that proved too weak.")] = None,
    project: Annotated[str | None, typer.Option(help="Of this project alone.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; written down with your name.")] = None,
    data: Data = None,
) -> None:
    """Withdraw every pack that was made under a profile, prove it gone in every target, release it under the new one.

    The study keys of what is withdrawn are destroyed. Until the project has another profile nothing is released.
    """
    if context.invoked_subcommand is not None:
        return
    if profile_version is None or reason is None:
        fail("say --profile-version VERSION and --reason TEXT", status=2)
    wanted = {"profile": profile, "version": profile_version, "reason": reason}
    answer = _post(data, "/api/deid/recalls", {**wanted, **({"project": project} if project else {})})
    say(f"recall {answer['recall']}, of {answer['studies']} studies: see `causeway deid recall list`")
    if not answer["studies"]:
        of = f" in project {project}" if project else ""
        warn(f"nothing is out under profile {profile}, version {profile_version}{of}: are they spelled as in its file?")


@recalls.command("list")
def list_recalls(data: Data = None, as_json: Json = False) -> None:
    """List recalls: how much of each is withdrawn, proven gone, and released again."""
    found = _get(data, "/api/deid/recalls")
    if as_json:
        emit_json(found)
        return
    columns = ("id", "profile", "version", "project", "who", "state", "packs", "copies", "absent", "released")
    table("Recalls", columns, [tuple(one[name] for name in columns) for one in found["recalls"]])


def _get(data: Path | None, path: str) -> Any:
    try:
        return Api.of(site_of(data)).get(path)
    except ApiError as error:
        fail(str(error))


def _post(data: Path | None, path: str, body: dict[str, Any]) -> Any:
    try:
        return Api.of(site_of(data)).post(path, body)
    except ApiError as error:
        fail(str(error))
