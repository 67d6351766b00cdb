"""What an operator asks over HTTP, and orders."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.tier_routing.ports import Questions, Selection
from shared.observability import logger

Access = Callable[..., None]

log = logger("causeway.tier_routing")


class HttpHandlers:
    """Answers from the ledger. ``access`` logs who read which kind of patient data."""

    def __init__(self, *, questions: Questions, clock: Callable[[], datetime], access: Access) -> None:
        self._questions = questions
        self._clock = clock
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Every path of the service."""
        return (
            Route("/api/overdue", self.overdue),
            Route("/api/summary", self.summary),
            Route("/api/commitments", self.commitments),
            Route("/api/ledger/{of}", self.ledger),
            Route("/api/replan", self.replan, methods=["POST"]),
        )

    async def overdue(self, request: Request) -> Response:
        """The batches that are later than policy allows, and what each waits for."""
        found = await self._questions.overdue(self._clock())
        self._access(request, "overdue", count=len(found))
        return JSONResponse(found)

    async def summary(self, request: Request) -> Response:
        """Counts of batches, packs and copies."""
        return JSONResponse(await self._questions.summary(self._clock()))

    async def commitments(self, request: Request) -> Response:
        """The requests for storage commitment: how many, and which wait."""
        found = await self._questions.commitments()
        self._access(request, "commitments", count=len(found["waiting"]))
        return JSONResponse(found)

    async def ledger(self, request: Request) -> Response:
        """The packs of a batch (by its id) or of a study (by its UID): plan, proofs and history."""
        of = request.path_params["of"]
        selection = Selection(study_uid=of) if "." in of else Selection(batch_id=of)
        found = await self._questions.packs_of(selection)
        self._access(request, "ledger", count=len(found))
        return JSONResponse({"packs": found}, status_code=200 if found else 404)

    async def replan(self, request: Request) -> Response:
        """Make another plan under the policy of today: ``{study_uid | batch_id | all, dry_run}``."""
        try:
            selection, dry_run = _order(await request.json())
        except ValueError:
            return JSONResponse({"error": "say one of study_uid, batch_id, all; and dry_run if so"}, status_code=400)
        answer = await self._questions.replan(selection, self._clock(), dry_run=dry_run)
        log.info("replanned", packs=answer["packs"], count=answer["changed"], mode="dry-run" if dry_run else "done")
        return JSONResponse(answer)


def _order(body: Any) -> tuple[Selection, bool]:
    """What a replan is asked for; ValueError when that is not said, or said twice."""
    if not isinstance(body, dict) or set(body) - {"study_uid", "batch_id", "all", "dry_run"}:
        raise ValueError
    study_uid, batch_id, everything = body.get("study_uid"), body.get("batch_id"), body.get("all", False)
    given = [value for value in (study_uid, batch_id) if value is not None]
    if len(given) + bool(everything) != 1 or not all(isinstance(value, str) for value in given):
        raise ValueError
    return Selection(batch_id, study_uid, bool(everything)), body.get("dry_run", False) is True
