"""What happens when a FHIR client writes, where a site lets it: create, update, transaction (R4 section 3.1.0)."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.fhir import documents as fhir
from services.hl7_fhir.domain.fhir import writes
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.fhir.parameters import KINDS
from services.hl7_fhir.domain.fhir.writes import NotValid, Write, WriteRefused
from services.hl7_fhir.handlers.asking import PLAIN, Answer, base_of, trouble
from services.hl7_fhir.ports import Writer
from shared.observability import logger

log = logger("causeway.fhir")

#: Bytes of one resource, and of a transaction.
MAX_RESOURCE, MAX_BUNDLE = 1_048_576, 8_388_608
_MEDIA = frozenset(("application/fhir+json", "application/json"))
_FORM = frozenset(("_format", "_pretty"))
_CODES = {400: "invalid", 403: "forbidden", 409: "duplicate", 412: "conflict", 413: "too-long", 428: "required"}


@dataclass(frozen=True)
class Writing:
    """Writes of clients, read strictly; every one is logged, and every one that is refused.

    ``allowed``: none, own (resources that clients made) or all.
    """

    writer: Writer
    allowed: str = "none"

    @property
    def is_on(self) -> bool:
        """Whether anything may be written."""
        return self.allowed != "none"

    def routes(self, guarded: Callable[[Answer], Answer]) -> list[BaseRoute]:
        """POST and PUT of each kind, and POST of a transaction; none when nothing may be written."""
        if not self.is_on:
            return []
        found: list[BaseRoute] = [Route("/fhir", guarded(_answering(self.transaction)), methods=["POST"])]
        found.append(Route("/fhir/", guarded(_answering(self.transaction)), methods=["POST"]))
        for kind in KINDS:
            create, update = _of(kind, self.create), _of(kind, self.update)
            found.append(Route(f"/fhir/{kind}", guarded(_answering(create)), methods=["POST"]))
            found.append(Route(f"/fhir/{kind}/{{id:str}}", guarded(_answering(update)), methods=["PUT"]))
        return found

    async def create(self, kind: str, request: Request) -> Response:
        """A new resource, unless ``If-None-Exist`` finds one."""
        resource = await _json(request, MAX_RESOURCE)
        condition = request.headers.get("if-none-exist")
        return await self._one(request, writes.create(kind, resource, condition, _new_id()))

    async def update(self, kind: str, request: Request) -> Response:
        """A new version of a resource, from the one that ``If-Match`` names."""
        resource = await _json(request, MAX_RESOURCE)
        write = writes.update(kind, request.path_params["id"], resource, request.headers.get("if-match"))
        return await self._one(request, write)

    async def transaction(self, request: Request) -> Response:
        """Several creates and updates, all or none."""
        asked = writes.transaction(await _json(request, MAX_BUNDLE), _new_id)
        done = await self._write(asked)
        for stored in done:
            _log(request, stored)
        entries = [
            {"response": {**_told(request, write, stored), "status": str(_status(write, stored))}}
            for write, stored in zip(asked, done, strict=True)
        ]
        return PLAIN.answer(fhir.transaction_response(entries))

    async def _write(self, asked: list[Write]) -> list[Stored]:
        return await self.writer.write(asked, datetime.now(UTC), every=self.allowed == "all")

    async def _one(self, request: Request, write: Write) -> Response:
        (stored,) = await self._write([write])
        _log(request, stored)
        told = _told(request, write, stored)
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified, "Location": told["location"]}
        if "return=minimal" in request.headers.get("prefer", "").replace(" ", ""):
            return Response(status_code=_status(write, stored), headers=headers)
        return PLAIN.answer(stored.shown(), _status(write, stored), headers)


def _log(request: Request, stored: Stored) -> None:
    log.info("patient-data-written", who=_who(request), resource=stored.type.lower(), ref=stored.id)


def _who(request: Request) -> str:
    return str(getattr(request.state, "who", "unknown"))


def _told(request: Request, write: Write, stored: Stored) -> dict[str, str]:
    location = f"{base_of(request)}/{stored.type}/{stored.id}/_history/{stored.version}"
    return {"location": location, "etag": stored.etag, "lastModified": fhir.instant(stored.updated)}


def _status(write: Write, stored: Stored) -> int:
    """201 for what is new, 200 for what was there."""
    return 201 if write.is_create and write.id == stored.id else 200


def _answering(method: Answer) -> Answer:
    """``method``, with refusals as OperationOutcomes, written down."""

    async def answered(request: Request) -> Response:
        try:
            return await method(request)
        except NotValid as error:
            answer = PLAIN.answer(fhir.outcome("structure", f"{error.reason}: {error.place}"), 422)
        except WriteRefused as error:
            answer = trouble(error.status, _CODES.get(error.status, "not-supported"), error.reason)
        log.warning("write-refused", who=_who(request), method=request.method, http_status=answer.status_code)
        return answer

    return answered


def _of(kind: str, method: Callable[[str, Request], Awaitable[Response]]) -> Answer:
    async def answered(request: Request) -> Response:
        return await method(kind, request)

    return answered


async def _json(request: Request, most: int) -> Any:
    if request.query_params.keys() - _FORM:
        raise WriteRefused(400, "query-not-supported")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _MEDIA:
        raise WriteRefused(415, "media-type-not-supported")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise WriteRefused(413, "body-too-large")
    try:
        return json.loads(content.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise WriteRefused(400, "body-is-no-json") from None


def _no_number(_name: str) -> None:
    raise ValueError("JSON has no such number")


def _new_id() -> str:
    return uuid4().hex
