"""The way back from a pseudonym, over HTTP: with a reason, written down before anything is told."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from services.deid.domain.documents import Identity
from services.deid.domain.journal import Disclosure
from services.deid.ports.identity import IdentityMap
from shared.http.access import log_access
from shared.observability import logger

log = logger("causeway.deid")

_LONGEST = 1000


class _Asked(NamedTuple):
    """What is asked for: ``replacement`` is a new UID or a pseudonym, "" for the whole map."""

    project: str
    replacement: str
    reason: str


class IdentityHandlers:
    """Leads back. ``readers`` are the holders of tokens who may ask; everybody with a token where it is empty."""

    def __init__(self, *, identities: IdentityMap, readers: frozenset[str], clock: Callable[[], datetime]) -> None:
        self._identities = identities
        self._readers = readers
        self._clock = clock

    def routes(self) -> tuple[BaseRoute, ...]:
        """``POST /api/deid/reidentify`` and ``/api/deid/export``: a body, so that no access log has it."""
        return (
            Route("/api/deid/reidentify", self.reidentify, methods=["POST"]),
            Route("/api/deid/export", self.export, methods=["POST"]),
        )

    async def reidentify(self, request: Request) -> Response:
        """``{project, uid | patient, reason}``: the originals; 404 when nothing is known, 403 for who may not ask."""
        asked = _asked(await _json(request), ("uid", "patient"))
        if asked is None:
            return JSONResponse({"error": "say project, one of uid and patient, and reason"}, 422)
        if refusal := self._refusal(request, "reidentification"):
            return refusal
        if not await self._identities.count(asked.project):
            return JSONResponse({"error": "this project has no map"}, 404)
        found = await self._identities.find(asked.project, asked.replacement)
        ref = await self._written_down(request, asked, "reidentification", len(found))
        if not found:
            return JSONResponse({"error": "the map of this project has no such pseudonym or UID"}, 404)
        return JSONResponse({"disclosure": ref, "found": [_document(one) for one in found]})

    async def export(self, request: Request) -> Response:
        """``{project, reason}``: the whole map, one JSON object per line."""
        asked = _asked(await _json(request), ())
        if asked is None:
            return JSONResponse({"error": "say project and reason"}, 422)
        if refusal := self._refusal(request, "identity-map-export"):
            return refusal
        count = await self._identities.count(asked.project)
        if not count:
            return JSONResponse({"error": "this project has no map"}, 404)
        await self._written_down(request, asked, "export", count)
        return StreamingResponse(self._lines(asked.project), media_type="application/x-ndjson")

    async def _lines(self, project: str) -> AsyncIterator[str]:
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            found, after = await self._identities.page(project, after)
            yield "".join(json.dumps(_document(one)) + "\n" for one in found)

    def _refusal(self, request: Request, resource: str) -> Response | None:
        who = _who(request)
        if not self._readers or who in self._readers:
            return None
        log.warning("access-denied", who=who, resource=resource, http_status=403)
        return JSONResponse({"error": "you may not ask for identities"}, 403)

    async def _written_down(self, request: Request, asked: _Asked, kind: str, count: int) -> str:
        ref = secrets.token_hex(16)
        told = self._clock().timestamp()
        await self._identities.disclose(asked.project, Disclosure(ref, kind, _who(request), told, count, asked.reason))
        log_access(request, kind, ref=ref, count=count)
        return ref


def _who(request: Request) -> str:
    return str(getattr(request.state, "who", "unknown"))[:64]


def _document(one: Identity) -> dict[str, str]:
    named = {"kind": one.kind, "original": one.original, "replacement": one.replacement}
    return {**named, "issuer": one.issuer} if one.kind == "patient" else named


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _asked(body: Any, names: tuple[str, ...]) -> _Asked | None:
    """What a body asks for, None unless it says that, all of it as text, and nothing else."""
    if not isinstance(body, dict) or not all(isinstance(value, str) and value.strip() for value in body.values()):
        return None
    given = [name for name in names if name in body]
    if set(body) != {"project", "reason", *given} or len(given) != min(1, len(names)):
        return None
    reason = body["reason"].strip()
    if len(reason) > _LONGEST:
        return None
    return _Asked(body["project"], body[given[0]].strip() if given else "", reason)
