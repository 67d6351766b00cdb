"""What happens when an operation on subscriptions is asked for (guide, "Operations"), or the topics are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.subscriptions import capability, notification
from services.hl7_fhir.domain.subscriptions.notification import Event, Kind
from services.hl7_fhir.domain.subscriptions.subscription import Subscription, Wanted
from services.hl7_fhir.domain.subscriptions.topics import TOPICS
from services.hl7_fhir.handlers.subscription_answers import (
    base_of,
    creator_of,
    guarded,
    id_of,
    number_of,
    parameters_of,
    shown,
    socket_url,
    unknown,
)
from shared.http import log_access

_PATH = "/fhir/Subscription"
_MOST_EVENTS = 100


class Store(Protocol):
    """Subscriptions, each seen by its creator alone; RetryLater."""

    async def create(self, creator: str, base: str, wanted: Wanted) -> Subscription:
        """A new one."""

    async def read(self, creator: str, subscription: str) -> Subscription | None:
        """One."""

    async def all_of(self, creator: str) -> tuple[Subscription, ...]:
        """All."""

    async def update(self, creator: str, subscription: str, wanted: Wanted, match: int | None) -> Subscription | None:
        """As it is then; VersionConflict."""

    async def delete(self, creator: str, subscription: str) -> bool:
        """Whether there was one."""

    async def events(self, subscription: str, since: int, until: int, limit: int) -> tuple[Event, ...]:
        """Those that are kept."""

    async def token(self, subscriptions_of_it: Sequence[str]) -> tuple[str, datetime]:
        """A token that binds a websocket, and until when."""


@dataclass(frozen=True)
class Operations:
    """``$status``, ``$events`` and ``$get-ws-binding-token``, by GET or POST, and the topics."""

    store: Store

    def routes(self) -> tuple[BaseRoute, ...]:
        """Those of the type, of an instance, and Basic."""
        both = ["GET", "POST"]
        return (
            Route(f"{_PATH}/$status", guarded(self.statuses), methods=both),
            Route(f"{_PATH}/$get-ws-binding-token", guarded(self.token), methods=both),
            Route(f"{_PATH}/{{id:str}}/$status", guarded(self.statuses), methods=both),
            Route(f"{_PATH}/{{id:str}}/$events", guarded(self.events), methods=both),
            Route(f"{_PATH}/{{id:str}}/$get-ws-binding-token", guarded(self.token), methods=both),
            Route("/fhir/Basic", guarded(self.topics)),
            Route("/fhir/Basic/{id:str}", guarded(self.topic)),
        )

    async def statuses(self, request: Request) -> Response:
        """``$status``: the state of one subscription, or of several of the client."""
        given = await parameters_of(request)
        if "id" in request.path_params:
            given = [("id", request.path_params["id"])]
        ids, states = ({value for name, value in given if name == key} for key in ("id", "status"))
        mine = await self.store.all_of(creator_of(request))
        found = [each for each in mine if (not ids or each.id in ids) and (not states or each.status in states)]
        if not found and "id" in request.path_params:
            return unknown()
        return shown(notification.statuses(base_of(request), ((each, uuid4()) for each in found)))

    async def events(self, request: Request) -> Response:
        """``$events``: what happened, again; at most a hundred events at once, in their order."""
        given = await parameters_of(request)
        found = await self.store.read(creator_of(request), id_of(request))
        if found is None:
            return unknown()
        since, until = number_of(given, "eventsSinceNumber"), number_of(given, "eventsUntilNumber")
        until = found.events if until is None else min(until, found.events)
        events = await self.store.events(found.id, since or 1, until, _MOST_EVENTS)
        content = notification.least(dict(given).get("content"), found.wanted.channel.content)
        log_access(request, "subscription-events", ref=found.id, count=len(events))
        name, now = uuid4(), datetime.now(UTC)
        return shown(notification.notification(found, Kind.QUERY, events, content=content, name=name, now=now))

    async def token(self, request: Request) -> Response:
        """``$get-ws-binding-token``: for one subscription, those that are named, or all with a websocket."""
        given = await parameters_of(request)
        if "id" in request.path_params:
            given = [("id", request.path_params["id"])]
        ids = {value for name, value in given if name == "id"}
        mine = await self.store.all_of(creator_of(request))
        found = [each.id for each in mine if each.wanted.channel.is_websocket and (not ids or each.id in ids)]
        if not found or ids - set(found):
            return unknown()
        token, expires = await self.store.token(found)
        return shown(notification.binding(token, expires, found, socket_url(request)))

    async def topics(self, request: Request) -> Response:
        """The topics, each as a Basic."""
        base = f"{base_of(request)}/Basic"
        found = ((f"{base}/{topic.name}", capability.topic_resource(topic)) for topic in TOPICS.values())
        return shown(notification.searchset(base, found))

    async def topic(self, request: Request) -> Response:
        """One topic."""
        found = next((topic for topic in TOPICS.values() if topic.name == request.path_params["id"]), None)
        return shown(capability.topic_resource(found)) if found else unknown()
