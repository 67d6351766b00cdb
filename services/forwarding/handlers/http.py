"""Destinations over HTTP: where each queue stands, and what an operator decides about it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.events import BatchStored, Event, StepReported, StudyArchived
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.queue import Queue
from shared.breaker import Breaker
from shared.http.access import log_access

#: What makes the queue of a kind of destination.
HEARD: dict[str, type[Event]] = {
    "dicom": BatchStored,
    "stow": BatchStored,
    "mpps": StepReported,
    "ian": StudyArchived,
}


class Standing(Protocol):
    """What is asked and decided of one destination."""

    async def standing(self) -> dict[str, Any]:
        """Sums and times: ``delivered``, ``failed``, ``oldest``, ``away``, ``away_since``."""
        ...

    async def failures(self) -> list[dict[str, Any]]:
        """Every instance that was not taken."""
        ...

    async def ask_again(self) -> int:
        """Have them tried again; how many."""
        ...

    async def stands(self, **values: Any) -> None:
        """Keep a decision: ``held``."""
        ...


class Backlogs(Protocol):
    """The queues on the bus."""

    async def backlog(self, destination: str, event: type[Event]) -> int | None:
        """Events that wait; None when nobody knows."""
        ...


@dataclass(frozen=True)
class Desk:
    """What belongs to one destination."""

    kind: str
    ledger: Standing
    gate: Gate
    queue: Queue
    circuit: Breaker
    close: Callable[[], Awaitable[None]]


class DestinationsRoutes:
    """``/api/destinations``."""

    def __init__(self, desks: Mapping[str, Desk], backlogs: Backlogs) -> None:
        self._desks = desks
        self._backlogs = backlogs

    def routes(self) -> Sequence[BaseRoute]:
        """``GET /api/destinations``, its failures, and ``POST`` hold, release, retry."""
        base = "/api/destinations"
        return (
            Route(base, self.listed),
            Route(f"{base}/{{name}}/failures", self.failures),
            Route(f"{base}/{{name}}/hold", self.hold, methods=["POST"]),
            Route(f"{base}/{{name}}/release", self.release, methods=["POST"]),
            Route(f"{base}/{{name}}/retry", self.retry, methods=["POST"]),
        )

    async def listed(self, _: Request) -> Response:
        """Every destination, in the order of the file."""
        return JSONResponse({"destinations": [await self._row(name, desk) for name, desk in self._desks.items()]})

    async def failures(self, request: Request) -> Response:
        """The instances that it did not take, by UID and reason."""
        if (desk := self._desk(request)) is None:
            return _unknown()
        found = await desk.ledger.failures()
        log_access(request, "forward-failures", count=len(found))
        return JSONResponse({"failures": found})

    async def hold(self, request: Request) -> Response:
        """Let its queue stand."""
        return await self._decide(request, held=True)

    async def release(self, request: Request) -> Response:
        """Let its queue go on."""
        return await self._decide(request, held=False)

    async def retry(self, request: Request) -> Response:
        """202 with the number of instances that are tried again."""
        if (desk := self._desk(request)) is None:
            return _unknown()
        count = await desk.ledger.ask_again()
        desk.queue.look()
        return JSONResponse({"instances": count}, 202)

    async def _decide(self, request: Request, *, held: bool) -> Response:
        if (desk := self._desk(request)) is None:
            return _unknown()
        await desk.ledger.stands(held=held)
        desk.gate.look()
        return JSONResponse({"held": held})

    def _desk(self, request: Request) -> Desk | None:
        return self._desks.get(request.path_params["name"])

    async def _row(self, name: str, desk: Desk) -> dict[str, Any]:
        found = await desk.ledger.standing()
        return {
            "name": name,
            "kind": desk.kind,
            "held": await desk.gate.is_held(),
            "backlog": await self._backlogs.backlog(name, HEARD[desk.kind]),
            "age": _age(found.get("oldest")),
            "away": found.get("away"),
            "away_for": _age(found.get("away_since")) if found.get("away") else None,
            "delivered": found["delivered"],
            "failed": found["failed"],
        }


def _age(moment: float | None) -> float | None:
    return None if moment is None else round(max(0.0, time.time() - moment), 1)


def _unknown() -> Response:
    return JSONResponse({"error": "no destination has this name"}, 404)
