"""What an operator asks of the work list over HTTP, and decides."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.hl7_fhir.domain.intake.arrival import now
from services.hl7_fhir.domain.studies.deciding import VerdictRefused, read_verdict
from services.hl7_fhir.domain.studies.matching import REASONS
from services.hl7_fhir.ports import Matches
from shared.http.access import log_access
from shared.http.query import Query, QueryRefused
from shared.observability import logger

_MOST = 500
_NOT_THERE = {"error": "there is no such study"}

log = logger("causeway.matches")


@dataclass(frozen=True)
class MatchesOverHttp:
    """Studies that nothing ties for certain, and what people decide of them."""

    matches: Matches
    clock: Callable[[], datetime] = now

    def routes(self) -> tuple[Route, ...]:
        """``/api/matches`` and one study of it."""
        return (
            Route("/api/matches", self.listed),
            Route("/api/matches/{id}", self.shown),
            Route("/api/matches/{id}", self.decide, methods=["POST"]),
        )

    async def listed(self, request: Request) -> Response:
        """Those that wait: ``reason``, ``limit`` (at most 500) and ``offset``."""
        try:
            query = Query(request, "reason", "limit", "offset")
            reason = query.one_of("reason", REASONS)
            portion = query.number("limit", 100, most=_MOST), query.number("offset", 0)
        except QueryRefused as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=400)
        total, found = await self.matches.listed(reason, *portion)
        log_access(request, "matches", count=len(found))
        return JSONResponse({"total": total, "matches": found})

    async def shown(self, request: Request) -> Response:
        """One study: why it waits, what may be meant, what was decided."""
        found = await self.matches.shown(request.path_params["id"])
        if found is None:
            return JSONResponse(_NOT_THERE, status_code=404)
        log_access(request, "matches", ref=found["id"], count=len(found["candidates"]))
        return JSONResponse(found)

    async def decide(self, request: Request) -> Response:
        """``{order: id}``, ``{patient: id}``, ``{dismiss: true}`` or ``{undo: true}``."""
        who = getattr(request.state, "who", "unknown")
        try:
            verdict = read_verdict(await request.json())
            found = await self.matches.decide(request.path_params["id"], verdict, who, self.clock())
        except VerdictRefused as refusal:
            return JSONResponse({"error": refusal.reason}, status_code=422)
        except ValueError:
            return JSONResponse({"error": "the body is no JSON"}, status_code=400)
        if found is None:
            return JSONResponse(_NOT_THERE, status_code=404)
        log.info("study-decided", who=who, action=verdict.kind, study_ref=found["id"])
        return JSONResponse(found)
