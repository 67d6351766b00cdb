"""What happens when a FHIR request arrives: read, vread, search and the capabilities, read only (R4 section 3.1.0)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain import fhir, search
from services.hl7_fhir.domain.fhir import Json
from services.hl7_fhir.domain.search import Search, SearchRefused
from services.hl7_fhir.ports import Resources
from shared.errors import RetryLater, answer
from shared.http import log_access

_FORMATS = frozenset(("json", "application/json", "application/fhir+json", "text/json"))
_ID = "{id:str}"

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Fhir:
    """The read-only FHIR API on what the messages made; every read is logged, without an identifier."""

    resources: Resources
    started: datetime
    #: What other parts add to the CapabilityStatement.
    extend: Callable[[Json, Request], Json] = lambda statement, _: statement

    def routes(self) -> tuple[BaseRoute, ...]:
        """``/fhir/metadata`` and, for each kind of resource, search, read and vread."""
        found: list[BaseRoute] = [Route("/fhir/metadata", _guarded(self.metadata))]
        for kind in fhir.SEARCHES:
            path = f"/fhir/{kind}"
            found += [
                Route(path, _guarded(self._of(kind, self.search))),
                Route(f"{path}/{_ID}", _guarded(self._of(kind, self.read))),
                Route(f"{path}/{_ID}/_history/{{version:str}}", _guarded(self._of(kind, self.read))),
            ]
        return (*found, Route("/fhir/{path:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]))

    async def metadata(self, request: Request) -> Response:
        """The CapabilityStatement."""
        return _json(self.extend(fhir.capability(_base(request), _software_version(), self.started), request))

    async def read(self, kind: str, request: Request) -> Response:
        """One resource, its present version or the one that the path names."""
        wanted = _version(request.path_params.get("version"))
        stored = None if wanted == 0 else await self.resources.read(kind, request.path_params["id"], wanted)
        if stored is None:
            log_access(request, kind.lower(), count=0)
            return _trouble(404, "not-found", "there is no such resource")
        log_access(request, kind.lower(), ref=stored.id)
        headers = {"ETag": stored.etag, "Last-Modified": format_datetime(stored.updated, usegmt=True)}
        if request.headers.get("if-none-match") == stored.etag:
            return Response(status_code=304, headers=headers)
        return _json(stored.shown(), headers=headers)

    async def search(self, kind: str, request: Request) -> Response:
        """A Bundle of the resources that match."""
        asked = search.read(kind, request.query_params.multi_items())
        total, found = await self.resources.search(asked)
        log_access(request, kind.lower(), count=len(found))
        for stored in found:
            log_access(request, kind.lower(), ref=stored.id)
        return _json(fhir.searchset(_base(request), total, found, _links(request, asked, total)))

    def _of(self, kind: str, method: Callable[[str, Request], Awaitable[Response]]) -> Answer:
        async def answered(request: Request) -> Response:
            return await method(kind, request)

        return answered


def _guarded(method: Answer) -> Answer:
    """``method``, with errors as OperationOutcomes."""

    async def answered(request: Request) -> Response:
        if request.query_params.get("_format", "json") not in _FORMATS:
            return _trouble(406, "not-supported", "only JSON is served")
        try:
            return await method(request)
        except SearchRefused as refusal:
            return _trouble(400, "invalid", refusal.reason)
        except RetryLater as error:
            return _trouble(answer(error).http, "transient", error.reason)

    return answered


async def _unknown(request: Request) -> Response:
    if request.method != "GET":
        return _trouble(405, "not-supported", "this server is read only")
    return _trouble(404, "not-supported", "this server has no such resource type or operation")


def _version(named: str | None) -> int | None:
    """The version that a path names, 0 (there is none) for what is no number, None when it names none."""
    if named is None:
        return None
    return int(named) if named.isascii() and named.isdecimal() and len(named) < 9 else 0


def _links(request: Request, asked: Search, total: int) -> dict[str, str]:
    """The links of a page; relations as RFC 8288 has them."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name not in ("_count", "_offset")]

    def page(offset: int) -> str:
        return f"{_base(request)}/{asked.kind}?" + urlencode([*given, ("_count", asked.count), ("_offset", offset)])

    links = {"self": page(asked.offset)}
    if asked.count and asked.offset + asked.count < total:
        links["next"] = page(asked.offset + asked.count)
    if asked.count and asked.offset:
        links["previous"] = page(max(0, asked.offset - asked.count))
    return links


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/") + "/fhir"


def _json(document: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(document, ensure_ascii=False).encode()
    # What an API tells of a patient is nobody's to keep.
    return Response(body, status, {**(headers or {}), "Cache-Control": "no-store"}, media_type=fhir.MEDIA_TYPE)


def _trouble(status: int, code: str, text: str) -> Response:
    return _json(fhir.outcome(code, text), status)


def _software_version() -> str:
    try:
        return version("causeway")
    except PackageNotFoundError:
        return "unknown"
