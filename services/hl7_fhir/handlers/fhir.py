"""What happens when a FHIR request to read arrives: read, vread, history, search, capabilities (R4 section 3.1.0)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.fhir import cursor, search
from services.hl7_fhir.domain.fhir import documents as fhir
from services.hl7_fhir.domain.fhir.capability import capability
from services.hl7_fhir.domain.fhir.conditions import Position
from services.hl7_fhir.domain.fhir.documents import Json, Stored
from services.hl7_fhir.domain.fhir.parameters import KINDS
from services.hl7_fhir.domain.fhir.reading import is_id
from services.hl7_fhir.handlers.asking import Answer, NotAcceptable, base_of, form_of, guarded, query_of, trouble
from services.hl7_fhir.handlers.writing import Writing
from services.hl7_fhir.ports import Resources
from shared.http import log_access
from shared.identity import SiteKey

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Fhir:
    """The FHIR API on what the messages made; every read is logged, without an identifier."""

    resources: Resources
    site_key: SiteKey
    started: datetime
    writing: Writing
    #: What other parts add to the CapabilityStatement.
    extend: Callable[[Json, Request], Json] = lambda statement, _: statement

    def routes(self) -> tuple[BaseRoute, ...]:
        """``/fhir/metadata`` and for each kind search, history, read and vread; writes where they are on."""
        found: list[BaseRoute] = [Route("/fhir/metadata", guarded(self.metadata))]
        found += self.writing.routes(guarded)
        for kind in KINDS:
            path = f"/fhir/{kind}"
            served = (
                (path, self.search, "GET"),
                (f"{path}/_search", self.search, "POST"),
                (f"{path}/_history", self.history, "GET"),
                (f"{path}/{{id:str}}", self.read, "GET"),
                (f"{path}/{{id:str}}/_history", self.history, "GET"),
                (f"{path}/{{id:str}}/_history/{{version:str}}", self.read, "GET"),
            )
            found += [Route(at, guarded(_of(kind, method)), methods=[verb]) for at, method, verb in served]
        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return (*found, *(Route(path, self._unknown, methods=every) for path in ("/fhir", "/fhir/{path:path}")))

    async def metadata(self, request: Request) -> Response:
        """The CapabilityStatement."""
        form = form_of(request, request.query_params)
        if form.view.version != "4.0":
            raise NotAcceptable
        stated = capability(base_of(request), _software_version(), self.started, writes=self.writing.is_on)
        return form.answer(self.extend(stated, request))

    async def read(self, kind: str, request: Request) -> Response:
        """One resource, its present version or the one that the path names."""
        form = form_of(request, request.query_params)
        wanted, resource_id = _version(request.path_params.get("version")), request.path_params["id"]
        stored = None
        if wanted != 0 and is_id(resource_id):
            stored = await self.resources.read(kind, resource_id, wanted)
        if stored is None:
            log_access(request, kind.lower(), count=0)
            return trouble(404, "not-found", "there is no such resource")
        log_access(request, kind.lower(), ref=stored.id)
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
        if _is_known(request.headers, stored):
            return Response(status_code=304, headers=headers)
        return form.answer(form.view.show(stored), headers=headers)

    async def history(self, kind: str, request: Request) -> Response:
        """A Bundle of the versions of one resource, or of all of a kind, the newest first."""
        query, resource_id = request.query_params.multi_items(), request.path_params.get("id")
        form = form_of(request, request.query_params)
        since, count = search.history(query)
        after = cursor.read(self.site_key, request.url.path, query)
        if after is not None:
            after[0] = datetime.fromisoformat(after[0])
        ours = resource_id is None or is_id(resource_id)
        found = await self.resources.history(
            kind, resource_id if ours else "", since=since, count=count, after=tuple(after) if after else None
        )
        if resource_id is not None and not found.found and after is None and since is None:
            log_access(request, kind.lower(), count=0)
            return trouble(404, "not-found", "there is no such resource")
        _log(request, kind, found.found)
        last = found.following
        place = [last.updated.isoformat(), last.id, last.version] if last else None
        shown = [(stored, form.view.show(stored)) for stored in found.found]
        return form.answer(fhir.history(base_of(request), shown, self._links(request, request.url.path, query, place)))

    async def search(self, kind: str, request: Request) -> Response:
        """A Bundle of the resources that match, by GET or by POST."""
        query = await query_of(request)
        form = form_of(request, dict(query))
        lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "")
        asked = search.read(kind, query, datetime.now(UTC), base=base_of(request), lenient=lenient)
        path = f"/fhir/{kind}"
        after = cursor.read(self.site_key, path, query)
        page = await self.resources.search(replace(asked, after=Position(*after) if after else None))
        _log(request, kind, page.found, page.included)
        shown, included = ([form.view.show(one) for one in part] for part in (page.found, page.included))
        place = page.following
        following = [place.driver, place.key, place.number, place.total] if place else None
        kept = [each for each in query if each[0] not in asked.ignored]
        links = self._links(request, path, kept, following)
        bundle = fhir.searchset(base_of(request), page.total, shown, included, links)
        return form.answer(_with_notices(bundle, bool(asked.ignored), page.is_whole))

    def _links(self, request: Request, path: str, query: Query, following: Sequence[object] | None) -> dict[str, str]:
        """The links of a page; relations as RFC 8288 has them."""
        address = base_of(request).removesuffix("/fhir") + path
        plain = [(name, value) for name, value in query if name != "_cursor"]
        links = {"self": _url(address, query)}
        if following is not None:
            word = cursor.write(self.site_key, path, plain, following)
            links["next"] = _url(address, [*plain, ("_cursor", word)])
        return links

    async def _unknown(self, request: Request) -> Response:
        if request.method == "GET":
            return trouble(404, "not-supported", "this server has no such resource type or operation")
        text = "this server does not do that" if self.writing.is_on else "this server is read only"
        return trouble(405, "not-supported", text)


def _of(kind: str, method: Callable[[str, Request], Awaitable[Response]]) -> Answer:
    async def answered(request: Request) -> Response:
        return await method(kind, request)

    return answered


def _is_known(headers: Mapping[str, str], stored: Stored) -> bool:
    """Whether the client has the version already (RFC 9110 section 13.2.2: the tag goes before the time)."""
    if tags := headers.get("if-none-match"):
        return any(tag.strip() in ("*", stored.etag, stored.etag[2:]) for tag in tags.split(","))
    try:
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return stored.updated.replace(microsecond=0) <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def _version(named: str | None) -> int | None:
    """The version that a path names, 0 (there is none) for what is no number, None when it names none."""
    if named is None:
        return None
    return int(named) if named.isascii() and named.isdecimal() and len(named) < 9 else 0


def _log(request: Request, kind: str, *parts: Iterable[Stored]) -> None:
    """Write down which resources were read, and how many."""
    read = [stored for part in parts for stored in part]
    log_access(request, kind.lower(), count=len(read))
    for stored in read:
        log_access(request, stored.type.lower(), ref=stored.id)


def _url(address: str, query: Query) -> str:
    return f"{address}?{urlencode(query)}" if query else address


def _with_notices(bundle: fhir.Json, ignored: bool, is_whole: bool) -> fhir.Json:
    if ignored:
        bundle = fhir.with_notice(bundle, "parameters that this server does not know were ignored: see the self link")
    return bundle if is_whole else fhir.with_notice(bundle, "more resources were to be included than a page takes")


def _software_version() -> str:
    try:
        return version("causeway")
    except PackageNotFoundError:
        return "unknown"
