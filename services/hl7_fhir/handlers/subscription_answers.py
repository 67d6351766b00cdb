"""How requests about subscriptions are read and answered: bodies in bounds, errors as OperationOutcomes."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.hl7_fhir.domain.fhir import documents as fhir
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused, VersionConflict
from shared.errors import RetryLater, Unprocessable, answer

Answer = Callable[[Request], Awaitable[Response]]
Json = dict[str, Any]

SOCKET_PATH = "/fhir/websocket"
#: Bytes of a Subscription or of Parameters, and seconds that they may take to come.
_LONGEST = 64 * 1024
_WITHIN = 10.0
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_FORMATS = frozenset(("json", "application/json", "application/fhir+json", "text/json"))
_STATUS_OF = {"too-long": 413, "throttled": 429, "forbidden": 403, "security": 403}


class BadRequest(SubscriptionRefused):
    """The request itself cannot be read."""


def guarded(method: Answer) -> Answer:
    """``method``, with errors as OperationOutcomes."""

    async def answered(request: Request) -> Response:
        if request.query_params.get("_format", "json") not in _FORMATS:
            return trouble(406, "not-supported", "only JSON is served")
        try:
            return await method(request)
        except BadRequest as refusal:
            return trouble(_STATUS_OF.get(refusal.code, 400), refusal.code, refusal.reason)
        except SubscriptionRefused as refusal:
            return trouble(_STATUS_OF.get(refusal.code, 422), refusal.code, refusal.reason, refusal.place)
        except VersionConflict as conflict:
            return trouble(412, "conflict", conflict.reason)
        except Unprocessable as error:
            return trouble(422, "processing", error.reason)
        except RetryLater as error:
            return trouble(answer(error).http, "transient", error.reason)

    return answered


async def document_of(request: Request) -> Any:
    """The JSON of the body; BadRequest."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMATS:
        raise BadRequest("content-type-not-supported", "not-supported", "")
    try:
        async with asyncio.timeout(_WITHIN):
            document = json.loads(await _body(request), parse_constant=_no_number)
            json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
            return document
    except (ValueError, RecursionError):
        raise BadRequest("not-json", "structure", "") from None
    except (TimeoutError, ClientDisconnect):
        raise BadRequest("body-incomplete", "incomplete", "") from None


def _no_number(_: str) -> Any:
    """NaN and its like, which JSON has not."""
    raise ValueError


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise BadRequest("body-too-long", "too-long", "")
    return body


async def parameters_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of an operation, from the query or from a Parameters resource (R4 section 3.2.0.4)."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name not in ("_format", "_pretty")]
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if request.method == "POST" and has_body:
        given += _listed(await document_of(request))
    return given


def _listed(document: Any) -> list[tuple[str, str]]:
    found = document.get("parameter", []) if isinstance(document, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise BadRequest("not-parameters", "structure", "")
    values = [(str(each.get("name")), [each[key] for key in each if key.startswith("value")]) for each in found]
    if any(len(value) != 1 or isinstance(value[0], dict | list | bool) for _, value in values):
        raise BadRequest("parameter-unusable", "value", "")
    return [(name, str(value[0])) for name, value in values]


def number_of(given: list[tuple[str, str]], name: str) -> int | None:
    """The number that a parameter holds, None without one; BadRequest."""
    values = [value for key, value in given if key == name]
    if not values:
        return None
    if not (values[-1].isascii() and values[-1].isdecimal() and len(values[-1]) < 19):
        raise BadRequest("parameter-unusable", "value", "")
    return int(values[-1])


def id_of(request: Request) -> str:
    """The id in the path; empty, which is nobody's, when it can be none (R4 section 2.24.0.1)."""
    found = request.path_params["id"]
    return found if _ID.fullmatch(found) else ""


def base_of(request: Request) -> str:
    """The URL of the FHIR API as the client asked for it."""
    return str(request.base_url).rstrip("/") + "/fhir"


def socket_url(request: Request) -> str:
    """Where websockets are taken."""
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return str(request.base_url.replace(scheme=scheme)).rstrip("/") + SOCKET_PATH


def creator_of(request: Request) -> str:
    """Who asks, as the tokens name them."""
    return str(getattr(request.state, "who", "unknown"))


def shown(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``document`` as an answer that nobody is to keep."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return Response(body, status, {**(headers or {}), "Cache-Control": "no-store"}, media_type=fhir.MEDIA_TYPE)


def trouble(status: int, code: str, text: str, place: str = "") -> Response:
    """An OperationOutcome; ``place`` is the element that is at fault."""
    document = fhir.outcome(code, text)
    if place:
        document["issue"][0]["expression"] = [place]
    return shown(document, status)


def unknown() -> Response:
    """404: there is none, or it is somebody else's."""
    return trouble(404, "not-found", "there is no such resource")
