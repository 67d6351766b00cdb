"""What was done to packs, over HTTP."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.deid.ports.content import WorkArea
from services.deid.ports.quarantine import Results
from shared.http.access import log_access


class ReportHandlers:
    """Reports: attributes, actions, rules and counts; no value of any original."""

    def __init__(self, results: Results, work_area: WorkArea) -> None:
        self._results = results
        self._work_area = work_area

    def routes(self) -> tuple[BaseRoute, ...]:
        """``GET /api/deid/reports/{pack}``: by the planned pack, or by a de-identified one."""
        return (Route("/api/deid/reports/{pack}", self.shown),)

    async def shown(self, request: Request) -> Response:
        """The reports of a pack and its parts, also of one of which nothing went out; 404 where there is none."""
        found = await self._results.results(request.path_params["pack"])
        kept = [await self._work_area.report(one) for one in found]
        reports = [json.loads(one) for one in kept if one is not None]
        log_access(request, "deid-report", count=len(reports))
        if not reports:
            return JSONResponse({"error": "there is no report of such a pack"}, 404)
        return JSONResponse({"reports": reports})
