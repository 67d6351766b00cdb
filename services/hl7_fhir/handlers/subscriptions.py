"""What happens when a request about subscriptions arrives (R4 section 3.1.0; guide, "Operations")."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.subscriptions import capability, channel, notification
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, Wanted, check_end, read
from services.hl7_fhir.handlers.sockets import Sockets
from services.hl7_fhir.handlers.subscription_answers import (
    SOCKET_PATH,
    BadRequest,
    Json,
    base_of,
    creator_of,
    document_of,
    guarded,
    id_of,
    shown,
    socket_url,
    unknown,
)
from services.hl7_fhir.handlers.subscription_operations import Operations, Store
from shared.http import TokenSocket

_PATH = "/fhir/Subscription"


@dataclass(frozen=True)
class Subscriptions:
    """The API; nothing of it is there unless it is ``enabled``. ``endpoints`` are what the operator has listed."""

    store: Store
    sockets: Sockets
    enabled: bool
    endpoints: tuple[str, ...]

    def routes(self) -> tuple[BaseRoute, ...]:
        """Subscription with its operations, the topics, and the websocket."""
        if not self.enabled:
            return ()
        operations = Operations(self.store)
        return (
            Route(_PATH, guarded(self.search)),
            Route(_PATH, guarded(self.create), methods=["POST"]),
            *operations.routes(),
            Route(f"{_PATH}/{{id:str}}", guarded(self.read)),
            Route(f"{_PATH}/{{id:str}}", guarded(self.update), methods=["PUT"]),
            Route(f"{_PATH}/{{id:str}}", guarded(self.delete), methods=["DELETE"]),
            TokenSocket(SOCKET_PATH, self.sockets.connected),
        )

    def stated(self, statement: Json, request: Request) -> Json:
        """The CapabilityStatement with subscriptions, where they are enabled."""
        return capability.stated(statement, socket_url(request)) if self.enabled else statement

    async def create(self, request: Request) -> Response:
        """A new subscription; its handshake follows."""
        wanted = await self._wanted(request)
        made = await self.store.create(creator_of(request), base_of(request), wanted)
        return _one(made, 201)

    async def read(self, request: Request) -> Response:
        """One subscription; values of headers are not told."""
        found = await self.store.read(creator_of(request), id_of(request))
        return _one(found) if found else unknown()

    async def update(self, request: Request) -> Response:
        """Another end, endpoint, filter …, or another status: off, or requested once more."""
        wanted = await self._wanted(request)
        match = _version(request.headers.get("if-match"))
        found = await self.store.update(creator_of(request), id_of(request), wanted, match)
        return _one(found) if found else unknown()

    async def delete(self, request: Request) -> Response:
        """No more notifications."""
        gone = await self.store.delete(creator_of(request), id_of(request))
        return Response(status_code=204) if gone else unknown()

    async def search(self, request: Request) -> Response:
        """Those of the client, by id, status, url or topic; there are few, so there is one page."""
        asked = [pair for pair in request.query_params.multi_items() if pair[0] not in ("_format", "_pretty", "_count")]
        known = {name for name, _, _ in capability.SEARCHES}
        if any(name not in known for name, _ in asked):
            raise BadRequest("search-parameter-not-supported", "not-supported", "")
        found = [each for each in await self.store.all_of(creator_of(request)) if _matches(each, asked)]
        return shown(notification.searchset(f"{base_of(request)}/Subscription", _pairs(found)))

    async def _wanted(self, request: Request) -> Wanted:
        wanted = read(await document_of(request))
        check_end(wanted, datetime.now(UTC))
        if wanted.status is not Status.OFF:
            channel.check_endpoint(wanted.channel, self.endpoints)
        return wanted


def _one(found: Subscription, status: int = 200) -> Response:
    headers = {"ETag": found.etag, "Last-Modified": format_datetime(found.updated, usegmt=True)}
    return shown(found.shown(), status, {**headers, "Location": found.url} if status == 201 else headers)


def _version(condition: str | None) -> int | None:
    """The version that If-Match names, 0 (there is none) for what names no version."""
    if condition is None:
        return None
    number = condition.strip().removeprefix("W/").strip('"')
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else 0


def _matches(one: Subscription, asked: Iterable[tuple[str, str]]) -> bool:
    """Parameters are joined by "and", values between commas by "or"."""
    return all(any(_has(one, name, value) for value in values.split(",")) for name, values in asked)


def _has(one: Subscription, name: str, value: str) -> bool:
    if name == "criteria":
        return one.wanted.topic.url.startswith(value)
    told = {"_id": one.id, "status": one.status.value, "url": one.wanted.channel.endpoint}
    return told[name] == value.rpartition("|")[2] if name == "status" else told[name] == value


def _pairs(found: Iterable[Subscription]) -> Iterable[tuple[str, notification.Json]]:
    return ((each.url, each.shown()) for each in found)
