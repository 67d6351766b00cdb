"""Receivers over HTTP: where each queue stands, and what an operator decides about it."""

from collections.abc import Mapping, Sequence
from json import JSONDecodeError
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.hl7_fhir.domain.outgoing.receivers import Receiver
from services.hl7_fhir.handlers.couriers import Receivers
from shared.http.access import log_access
from shared.observability import logger

log = logger("hl7_fhir.receivers")


class Desk(Protocol):
    """What is asked and decided of the queues."""

    async def standing(self) -> dict[str, dict[str, Any]]:
        """By name: ``waiting``, ``aside``, ``age``, ``delivered``, ``held``, ``away``, ``away_for``."""
        ...

    async def shown(self, name: str) -> list[dict[str, Any]]:
        """What was set aside or tried in vain."""
        ...

    async def hold(self, name: str, *, held: bool) -> None:
        """Keep an operator's word."""
        ...

    async def retry(self, name: str, number: int | None) -> int:
        """Let what was set aside wait again; how many."""
        ...

    async def discard(self, name: str, number: int | None, *, everything: bool) -> int:
        """Give up messages; how many."""
        ...


_EMPTY = {"waiting": 0, "aside": 0, "age": None, "delivered": 0, "held": None, "away": None, "away_for": None}


class ReceiversRoutes:
    """``/api/receivers``."""

    def __init__(self, receivers: Receivers, desk: Desk) -> None:
        self._receivers = receivers
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """``GET /api/receivers``, ``/{name}/messages``, and ``POST`` hold, release, retry, discard."""
        base = "/api/receivers"
        return (
            Route(base, self.listed),
            Route(f"{base}/{{name}}/messages", self.messages),
            Route(f"{base}/{{name}}/hold", self.hold, methods=["POST"]),
            Route(f"{base}/{{name}}/release", self.release, methods=["POST"]),
            Route(f"{base}/{{name}}/retry", self.retry, methods=["POST"]),
            Route(f"{base}/{{name}}/discard", self.discard, methods=["POST"]),
        )

    async def listed(self, _: Request) -> Response:
        """Every receiver in the order of the file, then those that are named no more and have a queue."""
        named, standing = self._receivers.get(), await self._desk.standing()
        gone = [name for name, found in standing.items() if name not in named and found["waiting"] + found["aside"]]
        rows = [_listed(name, named.get(name), standing.get(name, _EMPTY)) for name in (*named, *gone)]
        return JSONResponse({"receivers": rows})

    async def messages(self, request: Request) -> Response:
        """What it did not take, by number and reason; nothing of a content."""
        name = request.path_params["name"]
        if not await self._is_known(name):
            return _unknown()
        found = await self._desk.shown(name)
        log_access(request, "outgoing-messages", count=len(found))
        return JSONResponse({"messages": found})

    async def hold(self, request: Request) -> Response:
        """Let its queue stand."""
        return await self._hold(request, held=True)

    async def release(self, request: Request) -> Response:
        """Let its queue go on."""
        return await self._hold(request, held=False)

    async def retry(self, request: Request) -> Response:
        """202 with the number of messages that wait again; ``number`` names one of them."""
        name, asked = request.path_params["name"], await _asked(request)
        if asked is None:
            return _wrong()
        if not await self._is_known(name):
            return _unknown()
        count = await self._desk.retry(name, asked.get("number"))
        log.info("hl7-messages-retried", target=name, who=_who(request), count=count)
        return JSONResponse({"messages": count}, 202)

    async def discard(self, request: Request) -> Response:
        """Give up what was set aside, the message with this ``number``, or ``everything``; how many."""
        name, asked = request.path_params["name"], await _asked(request)
        if asked is None:
            return _wrong()
        if not await self._is_known(name):
            return _unknown()
        everything = asked.get("everything") is True
        count = await self._desk.discard(name, asked.get("number"), everything=everything)
        log.warning("hl7-messages-discarded", target=name, who=_who(request), count=count)
        return JSONResponse({"messages": count})

    async def _hold(self, request: Request, *, held: bool) -> Response:
        name = request.path_params["name"]
        if not await self._is_known(name):
            return _unknown()
        await self._desk.hold(name, held=held)
        log.info("hl7-receiver-held" if held else "hl7-receiver-released", target=name, who=_who(request))
        return JSONResponse({"held": held})

    async def _is_known(self, name: str) -> bool:
        return name in self._receivers.get() or name in await self._desk.standing()


def _listed(name: str, receiver: Receiver | None, found: Mapping[str, Any]) -> dict[str, Any]:
    by_file = receiver.held if receiver else True
    held = by_file if found["held"] is None else found["held"]
    return {"name": name, "named": receiver is not None, **found, "held": held}


async def _asked(request: Request) -> dict[str, Any] | None:
    """The body, an object or nothing; None for anything else. ``number`` is a whole number where there is one."""
    body = await request.body()
    try:
        asked = await request.json() if body else {}
    except (JSONDecodeError, UnicodeDecodeError):
        return None
    number = asked.get("number") if isinstance(asked, dict) else "no object"
    fits = number is None or (isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63)
    return asked if fits else None


def _who(request: Request) -> str:
    return str(getattr(request.state, "who", "unknown"))


def _unknown() -> Response:
    return JSONResponse({"error": "no receiver has this name"}, 404)


def _wrong() -> Response:
    return JSONResponse({"error": 'the body must be an object such as {"number": 17}'}, 400)
