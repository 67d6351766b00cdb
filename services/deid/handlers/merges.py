"""Patients who were merged: heard from the bus, listed and taken back over HTTP."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.events import PatientMerged
from services.deid.domain.journal import Undone
from services.deid.ports.identity import Merges
from shared.http.access import log_access
from shared.messaging.cloudevent import Received
from shared.observability import logger

log = logger("causeway.deid")

LONGEST_REASON = 1000


class MergeHandlers:
    """Keeps merges; they are honoured by what goes out next, and change nothing that is out."""

    def __init__(self, *, merges: Merges, clock: Callable[[], datetime]) -> None:
        self._merges = merges
        self._clock = clock

    def routes(self) -> tuple[BaseRoute, ...]:
        """``GET /api/deid/merged``, ``POST /api/deid/merged/{person}/undo``."""
        return (
            Route("/api/deid/merged", self.merged),
            Route("/api/deid/merged/{person}/undo", self.undo, methods=["POST"]),
        )

    async def patient_merged(self, received: Received[PatientMerged]) -> None:
        """Keep that a patient goes on in another."""
        if await self._merges.hear(received.data, received.time.timestamp()):
            log.info("merge-heard", patient_ref=received.data.merged_ref)

    async def merged(self, request: Request) -> Response:
        """What went out of merged patients under a pseudonym that is not theirs any more; no identifier."""
        found = await self._merges.outdated()
        log_access(request, "merged", count=len(found))
        return JSONResponse({"merged": [one._asdict() for one in found]})

    async def undo(self, request: Request) -> Response:
        """``{reason}``: take the merge of a patient (by match token) back for what goes out from now on."""
        try:
            reason = _reason(await request.json())
        except ValueError:
            return JSONResponse({"error": "say a reason, and nothing else"}, 422)
        who, person = str(getattr(request.state, "who", "unknown"))[:64], request.path_params["person"]
        one = Undone(secrets.token_hex(16), person, who, self._clock().timestamp(), reason)
        if not await self._merges.undo(one):
            return JSONResponse({"error": "no merge of this patient is known"}, 404)
        log.warning("merge-undone", who=who, ref=one.id)
        return JSONResponse({"undone": one.id})


def _reason(body: Any) -> str:
    """The reason in a body; ValueError unless it says one, and nothing else."""
    if not isinstance(body, dict) or set(body) != {"reason"} or not isinstance(body["reason"], str):
        raise ValueError
    reason = body["reason"].strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        raise ValueError
    return reason
