"""Messages over HTTP: what was refused or has failed, and what an operator decides about it."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.intake.keeping import Kept, State
from services.hl7_fhir.domain.messages.refusal import Refused
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.ports import Archive
from shared.errors import CausewayError, answer
from shared.http import log_access
from shared.http.query import Query, QueryRefused

_MOST = 500
_LARGEST = 10 * 1024 * 1024
_STATES: tuple[str, ...] = get_args(State)
_OPEN = ("refused", "failed")


@dataclass(frozen=True)
class ArchiveRoutes:
    """``/api/hl7/messages`` and ``/api/hl7/losses``; every look at a content is logged."""

    archive: Archive
    messages: Messages

    def routes(self) -> Sequence[BaseRoute]:
        """List, show, send again (corrected or as it was), discard; what the maps left behind."""
        base = "/api/hl7/messages"
        return (
            Route(base, self.listed),
            Route(f"{base}/{{ref}}", self.shown),
            Route(f"{base}/{{ref}}/resend", self.resend, methods=["POST"]),
            Route(f"{base}/{{ref}}/discard", self.discard, methods=["POST"]),
            Route("/api/hl7/losses", self.lost),
        )

    async def listed(self, request: Request) -> Response:
        """Messages by state (default: those that need a decision), or with a flag whatever their state, the newest
        first."""
        try:
            query = Query(request, "state", "limit", "before", "flag")
            flag, limit = query.text("flag"), query.number("limit", 100, 1, _MOST)
            states = query.some_of("state", _STATES) or (_OPEN if flag is None else _STATES)
            before = query.number("before", 0) if query.text("before") else None
        except QueryRefused as refusal:
            return _refused(400, str(refusal))
        found = await self.archive.listed(cast("tuple[State, ...]", states), limit, before, flag)
        log_access(request, "hl7-messages", count=len(found))
        return JSONResponse({"messages": [_row(one) for one in found], "open": await self.archive.counts()})

    async def shown(self, request: Request) -> Response:
        """One message with its bytes, in base64, and the fields that were valued and went nowhere."""
        found = await self.archive.one(request.path_params["ref"])
        if found is None:
            return _refused(404, "there is no such message")
        one, content = found
        log_access(request, "hl7-message", ref=one.ref)
        told = base64.b64encode(content).decode() if content is not None else None
        return JSONResponse({**_row(one), "content": told, "losses": await self.archive.lost(one.ref)})

    async def lost(self, request: Request) -> Response:
        """Which fields of whose messages were valued and went nowhere, the most frequent first; never a value."""
        try:
            query = Query(request, "sender", "limit")
            sender, limit = query.text("sender", may_be_empty=True), query.number("limit", 100, 1, _MOST)
        except QueryRefused as refusal:
            return _refused(400, str(refusal))
        found = await self.archive.losses(sender, limit)
        log_access(request, "hl7-losses", count=len(found))
        rows = [{"sender": sender, "field": field, "messages": messages} for sender, field, messages in found]
        return JSONResponse({"losses": rows})

    async def resend(self, request: Request) -> Response:
        """Take a message again, with ``content`` (base64) in its place or as it was; 422 with what is still wrong."""
        found = await self.archive.one(request.path_params["ref"])
        if found is None:
            return _refused(404, "there is no such message")
        one, content = found
        try:
            sent = _sent(await request.body()) or content
        except ValueError:
            return _refused(400, "the body must be JSON with 'content' in base64, at most 10 MiB")
        if one.state not in _OPEN:
            return _refused(409, f"the message is {one.state}")
        if sent is None:
            return _refused(410, "the bytes of the message are gone")
        return await self._resend(request, one, sent)

    async def discard(self, request: Request) -> Response:
        """Decide that nothing is to be done about a message; 409 when it needs no decision."""
        ref = request.path_params["ref"]
        if not await self.archive.settle(ref, "discarded"):
            return _refused(409, "the message needs no decision, or is not there")
        log_access(request, "hl7-message-discarded", ref=ref)
        return JSONResponse({"state": "discarded"})

    async def _resend(self, request: Request, one: Kept, content: bytes) -> Response:
        try:
            ref = await self.messages.again(content, one)
        except Refused as refusal:
            return JSONResponse({"error": refusal.reason, "place": refusal.place.told()}, 422)
        except CausewayError as error:
            return _refused(answer(error).http, error.reason)
        if ref != one.ref:
            await self.archive.settle(one.ref, "corrected")
        log_access(request, "hl7-message-sent-again", ref=ref)
        return JSONResponse({"ref": ref, "state": "waiting"}, 202)


def _sent(body: bytes) -> bytes | None:
    """The content in the body of a request; ValueError."""
    if len(body) > _LARGEST * 4 // 3 + 1024:
        raise ValueError("too large")
    asked = json.loads(body or b"{}")
    told = asked.get("content") if isinstance(asked, dict) else None
    if told is None:
        return None
    try:
        return base64.b64decode(str(told), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _row(one: Kept) -> dict[str, Any]:
    return {
        "sequence": one.sequence,
        "ref": one.ref,
        "received": one.received.isoformat(),
        "sender": one.origin,
        "type": f"{one.type}^{one.trigger}".rstrip("^"),
        "state": one.state,
        "code": one.code,
        "reason": one.reason,
        "place": one.place,
        "flags": list(one.flags),
        "size": one.size,
        "corrects": one.corrects,
    }


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
