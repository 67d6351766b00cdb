"""What people ask of the quarantine over HTTP, and decide."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.deid.domain.quarantine import Entry, State, VerdictRefused, read_verdict
from services.deid.domain.showing import decided, summary
from services.deid.handlers.deciding import Deciding
from services.deid.handlers.page import page_routes
from services.deid.ports.quarantine import Pictures, Quarantine
from shared.http.access import log_access
from shared.http.query import Query, QueryRefused
from shared.observability import logger

_MOST = 500
_NOT_THERE = {"error": "there is no such entry"}

log = logger("causeway.deid.quarantine")


class QuarantineHandlers:
    """The list of what is withheld, one entry of it with its pictures, and decisions."""

    def __init__(
        self, quarantine: Quarantine, deciding: Deciding, pictures: Pictures, clock: Callable[[], datetime]
    ) -> None:
        self._quarantine = quarantine
        self._deciding = deciding
        self._pictures = pictures
        self._clock = clock

    def routes(self) -> tuple[BaseRoute, ...]:
        """``/api/quarantine``, one entry, its pictures, and the page that shows them."""
        return (
            *page_routes(),
            Route("/api/quarantine", self.listed),
            Route("/api/quarantine/{id}", self.shown),
            Route("/api/quarantine/{id}", self.decide, methods=["POST"]),
            Route("/api/quarantine/{id}/{side:str}.png", self.picture),
        )

    async def listed(self, request: Request) -> Response:
        """Some entries, those that wait longest first: ``state``, ``project``, ``limit`` (at most 500), ``offset``."""
        try:
            query = Query(request, "state", "project", "limit", "offset")
            wanted = query.one_of("state", State), query.text("project")
            portion = query.number("limit", 100, most=_MOST), query.number("offset", 0)
        except QueryRefused as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=400)
        total, found = await self._quarantine.listed(*wanted, *portion)
        log_access(request, "quarantine", count=len(found))
        return JSONResponse({"total": total, "withheld": [summary(one) for one in found]})

    async def shown(self, request: Request) -> Response:
        """One entry: why it was withheld, what would go out, what the second look says of that, what was decided."""
        entry = await self._entry(request)
        if entry is None:
            return JSONResponse(_NOT_THERE, status_code=404)
        return JSONResponse(await self._document(entry))

    async def picture(self, request: Request) -> Response:
        """``before.png`` and ``after.png``, of ``frame`` (from 0); 404 where there is nothing that can be shown."""
        entry, side = await self._entry(request), request.path_params["side"]
        if entry is None or side not in ("before", "after"):
            return JSONResponse(_NOT_THERE, status_code=404)
        try:
            frame = Query(request, "frame").number("frame", 0)
        except QueryRefused as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=400)
        async with self._deciding.file(entry, cleaned=side == "after") as file:
            png = await self._pictures.png(file, frame) if file else None
        if png is None:
            return JSONResponse({"error": "there is no picture to be shown"}, status_code=404)
        return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})

    async def decide(self, request: Request) -> Response:
        """``{action: approve | reject | retry, reason, candidate}``; what was decided before is answered as it is."""
        entry, who = await self._entry(request), getattr(request.state, "who", "unknown")
        try:
            verdict = read_verdict(await request.json())
        except VerdictRefused as refusal:
            return JSONResponse({"error": refusal.reason}, status_code=422)
        except ValueError:
            return JSONResponse({"error": "the body is no JSON"}, status_code=400)
        if entry is None:
            return JSONResponse(_NOT_THERE, status_code=404)
        try:
            outcome = await self._deciding.decide(entry, verdict, who, self._clock())
        except VerdictRefused as refusal:
            return JSONResponse({"error": refusal.reason}, status_code=409)
        log.info("quarantine-decided", who=who, action=verdict.action.value, outcome=outcome, ref=entry.id)
        now = await self._quarantine.entry(entry.id)
        return JSONResponse({"outcome": outcome, **await self._document(now or entry)})

    async def _entry(self, request: Request) -> Entry | None:
        entry = await self._quarantine.entry(request.path_params["id"])
        log_access(request, "quarantine", ref=entry.id if entry else None, count=1 if entry else 0)
        return entry

    async def _document(self, entry: Entry) -> dict[str, Any]:
        rulings = [decided(one) for one in await self._quarantine.rulings(entry)]
        return {**summary(entry), "decisions": rulings, **await self._deciding.candidate_document(entry)}
