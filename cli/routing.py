"""``causeway overdue``, ``commitments``, ``replan`` and ``verify``: what is late, new plans, and proofs on demand."""

from typing import Annotated

import typer

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table


def study_ref(api: Api, study_uid: str) -> str:
    """What services call a study; ApiError when it is not known."""
    found = api.get("/api/studies", study=study_uid)["studies"]
    if not found:
        raise ApiError(404, "the study is not known")
    return str(found[0]["study_ref"])


def overdue(data: Data = None, as_json: Json = False) -> None:
    """List landing batches that are later than policy allows, and what each waits for."""
    try:
        found = Api.of(site_of(data)).get("/api/overdue")
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(found)
        return
    rows = [
        (batch["study_ref"][:12], batch["batch_id"], _waits(batch["waiting_for"]), batch["since"], batch["run"])
        for batch in found
    ]
    table("Overdue", ("study_ref", "batch", "waits for", "since", "run"), rows)


def commitments(data: Data = None, as_json: Json = False) -> None:
    """List requests for storage commitment that wait for their instances."""
    try:
        found = Api.of(site_of(data)).get("/api/commitments")
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(found)
        return
    rows = [(one["commitment_id"], one["instances"], one["since"]) for one in found["waiting"]]
    table("Storage commitment", ("request", "instances", "since"), rows)
    say(f"{found['decided']} of {found['requests']} decided, {found['failed_instances']} instances failed")


def _waits(waiting: list[dict[str, str]]) -> str:
    return ", ".join(f"{one['step']} {one.get('target') or ''}".strip() for one in waiting)


def replan(
    data: Data = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
    batch: Annotated[str | None, typer.Option(help="Landing batch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is here.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Decide again under the policy of today. Copies it no longer wants are removed after the new ones are proven."""
    if (study is not None) + (batch is not None) + everything != 1:
        fail("say one of --study UID, --batch ID, --all", status=2)
    wanted = {"study_uid": study} if study else {"batch_id": batch} if batch else {"all": True}
    try:
        answer = Api.of(site_of(data)).post("/api/replan", {**wanted, "dry_run": dry_run})
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(answer)
        return
    for name, value in answer.items():
        say(f"{name}: {value}")


def verify(
    data: Data = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
    sealed: Annotated[str | None, typer.Option(help="Sealed pack, as `where --json` names it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every copy in every target.")] = False,
    as_json: Json = False,
) -> None:
    """Read copies back and prove them again now; `where` shows the new proofs, and what was found damaged."""
    if (study is not None) + (sealed is not None) + everything != 1:
        fail("say one of --study UID, --sealed ID, --all", status=2)
    site = site_of(data)
    try:
        api = Api.of(site)
        wanted = {"sealed_id": sealed} if sealed else {"study_ref": study_ref(api, study)} if study else {"all": True}
        answer = api.post("/api/verify", wanted)
    except ApiError as error:
        fail(str(error))
    if as_json:
        emit_json(answer)
    else:
        say(f"{answer['copies']} copies will be read back")
