"""What every FHIR request says of the form of its answer, and answers in that form (R4 section 3.1.0.1)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from services.hl7_fhir.domain.fhir import documents as fhir
from services.hl7_fhir.domain.fhir.documents import Json
from services.hl7_fhir.domain.fhir.reading import SearchRefused
from services.hl7_fhir.domain.fhir.views import R4, R5, NotShown, View
from shared.errors import RetryLater, answer

_JSON = frozenset(("json", "application/json", "application/fhir+json", "text/json"))
_ANY = frozenset(("*/*", "application/*"))
_VERSIONS = {"4.0": R4, "4.0.1": R4, "5.0": R5, "5.0.0": R5}
_SUMMARIES = frozenset(("true", "false", "text", "data", "count"))
_ELEMENTS = 100
_FORM = "application/x-www-form-urlencoded"
_MAX_FORM = 32_768

Answer = Callable[[Request], Awaitable[Response]]


class NotAcceptable(Exception):
    """No form that was asked for is served; ``status`` is 406."""


@dataclass(frozen=True)
class Form:
    """The form of an answer: which version and part of the resources, and whether for people to read."""

    view: View
    pretty: bool = False

    def answer(self, document: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """``document`` as asked for; what an API tells of a patient is nobody's to keep."""
        indent, separators = (2, None) if self.pretty else (None, (",", ":"))
        body = json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)
        told = f"{fhir.MEDIA_TYPE}; fhirVersion={self.view.version}; charset=utf-8"
        kept = {**(headers or {}), "Cache-Control": "no-store", "Content-Type": told}
        return Response(body.encode("utf-8", "replace"), status, kept)


PLAIN = Form(View())


def form_of(request: Request, parameters: Mapping[str, str]) -> Form:
    """The form that ``_format`` or Accept ask for; NotAcceptable for any but JSON and an unknown version.

    SearchRefused for parts that are unknown.
    """
    summary = parameters.get("_summary") or "false"
    elements = tuple(each.strip() for each in parameters.get("_elements", "").split(",") if each.strip())
    if summary not in _SUMMARIES or len(elements) > _ELEMENTS:
        raise SearchRefused("search-value-unusable")
    names = tuple(each.rpartition(".")[2] for each in elements)
    view = View(_version(request, parameters.get("_format", "")), summary, names)
    return Form(view, parameters.get("_pretty") == "true")


def _version(request: Request, named: str) -> str:
    # A plus sign that was not escaped arrives as a blank.
    offers = [named.replace("fhir json", "fhir+json")] if named else _ranges(request.headers.get("accept", ""))
    for offer in offers:
        media, *rest = (part.strip().lower() for part in offer.split(";"))
        version = next((part[12:].strip("\" '") for part in rest if part.startswith("fhirversion=")), R4)
        if (media in _JSON or (media in _ANY and not named)) and version in _VERSIONS:
            return _VERSIONS[version]
    raise NotAcceptable


def _ranges(accept: str) -> list[str]:
    """The media ranges, those with a weight of nothing left out; weights are not compared, all is JSON."""
    found = [each for each in accept.split(",") if each.strip()]
    return [each for each in found if "q=0" not in each.replace(" ", "").split(";")] if found else ["*/*"]


def trouble(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An OperationOutcome."""
    return PLAIN.answer(fhir.outcome(code, text), status, headers)


def base_of(request: Request) -> str:
    """The URL of this server as the client wrote it."""
    return str(request.base_url).rstrip("/") + "/fhir"


def guarded(method: Answer) -> Answer:
    """``method``, with errors as OperationOutcomes."""

    async def answered(request: Request) -> Response:
        try:
            return await method(request)
        except (NotAcceptable, NotShown):
            return trouble(406, "not-supported", "JSON is served: all resources in R4, ImagingStudy also in R5")
        except SearchRefused as refusal:
            return trouble(400, _code(refusal.reason), refusal.reason)
        except RetryLater as error:
            return trouble(answer(error).http, "transient", error.reason, {"Retry-After": "5"})

    return answered


def _code(reason: str) -> str:
    """The issue type of a refusal."""
    if reason.endswith("-not-supported"):
        return "not-supported"
    return "too-costly" if reason in ("search-too-costly", "search-too-long") else "invalid"


async def query_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of the URL and, for POST, those of the body after them."""
    query = list(request.query_params.multi_items())
    if request.method != "POST":
        return query
    if request.headers.get("content-type", _FORM).partition(";")[0].strip().lower() != _FORM:
        raise SearchRefused("search-body-not-supported")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise SearchRefused("search-too-long")
    return query + parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
