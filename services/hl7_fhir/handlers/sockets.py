"""What happens when a subscriber connects by websocket: it is bound by a token, then it is told (guide, "Websockets").

A websocket has no acknowledgement. What was sent counts as arrived once the connection has lived on for a while, longer
than the server takes to notice that the peer no longer answers its pings; what was sent just before the end is sent
again to the next socket, with the same numbers.
"""

import asyncio
import json
import secrets
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from services.hl7_fhir.domain.subscriptions.notification import Event, Kind, disclosed, notification
from services.hl7_fhir.domain.subscriptions.subscription import Subscription
from shared.errors import RetryLater
from shared.observability import logger, metrics

_BIND = "bind-with-token"
#: Seconds within which a new socket must bind itself.
_BIND_WITHIN = 10.0
_MAX_BOUND = 50

#: Close codes of RFC 6455 section 7.4.1 and of the IANA registry.
_GOING, _POLICY, _LATER = 1001, 1008, 1013

log = logger("causeway.subscriptions")


Waiting = tuple[Subscription, tuple[Event, ...]]


class SocketDeliveries(Protocol):
    """Queues of websocket subscriptions."""

    async def bind(self, token: str, holder: str) -> tuple[Subscription, ...]:
        """What the token stands for; RetryLater."""

    async def waiting(self, subscription: str, holder: str, after: int) -> Waiting | None:
        """What there is to tell, None when another socket has it or it is off; RetryLater."""

    async def arrived(self, subscription: str, holder: str, number: int) -> None:
        """Events up to ``number`` need not be sent again; RetryLater."""

    async def release(self, holder: str) -> None:
        """The socket is gone; RetryLater."""


class Signal(Protocol):
    """Rings when there may be something to tell."""

    rung: int

    async def wait(self, seconds: float, heard: int) -> None:
        """Until it has rung more often than ``heard`` times."""


@dataclass
class _Bound:
    """``sent`` is the last number that was sent; ``recent`` when which number was, as long as it may be lost."""

    sent: int
    told: float
    recent: deque[tuple[float, int]] = field(default_factory=deque)


class _Places:
    """Who may be here: ``limit`` sockets that are bound, and apart from them ``unbound`` that have yet to say who.

    Those hold up nobody: of too many the one that has said nothing for longest goes.
    """

    def __init__(self, limit: int, unbound: int) -> None:
        self._limit = limit
        self._unbound = unbound
        self._strangers: dict[_Session, None] = {}
        self._guests: set[_Session] = set()

    def enter(self, session: "_Session") -> bool:
        """Whether the socket may stay until it is bound."""
        if len(self._guests) >= self._limit:
            return False
        if len(self._strangers) >= self._unbound:
            longest = next(iter(self._strangers))
            del self._strangers[longest]
            longest.dismiss()
        self._strangers[session] = None
        return True

    def take(self, session: "_Session") -> bool:
        """Whether the socket, which is about to be bound, has a place; one that has it keeps it."""
        if session not in self._guests and (session not in self._strangers or len(self._guests) >= self._limit):
            return False
        self._strangers.pop(session, None)
        self._guests.add(session)
        return True

    def leave(self, session: "_Session") -> None:
        """The socket is gone."""
        self._strangers.pop(session, None)
        self._guests.discard(session)


class Sockets:
    """At most ``limit`` sockets that are bound, and ``unbound`` others.

    Seconds: ``settled`` until what was sent has arrived, ``poll`` between two looks.
    """

    def __init__(
        self,
        deliveries: SocketDeliveries,
        bell: Signal,
        *,
        limit: int = 50,
        unbound: int = 10,
        settled: float = 45.0,
        poll: float = 1.0,
    ) -> None:
        self._deliveries = deliveries
        self._bell = bell
        self._places = _Places(limit, unbound)
        self._settled = settled
        self._poll = poll

    async def connected(self, socket: WebSocket) -> None:
        """Serve one socket until it goes."""
        session = _Session(socket, self._places, self._deliveries, self._bell, self._settled, self._poll)
        if not self._places.enter(session):
            await socket.close(_LATER)
            return
        try:
            await socket.accept()
            await session.live()
        finally:
            self._places.leave(session)


class _Session:
    def __init__(
        self,
        socket: WebSocket,
        places: _Places,
        deliveries: SocketDeliveries,
        bell: Signal,
        settled: float,
        poll: float,
    ) -> None:
        self._places = places
        self._dismissed = asyncio.Event()
        self._socket = socket
        self._deliveries = deliveries
        self._bell = bell
        self._settled = settled
        self._poll = poll
        self._holder = secrets.token_hex(16)
        self._bound: dict[str, _Bound] = {}
        self._asked = False
        self._sending = asyncio.Lock()

    async def live(self) -> None:
        """Hear and tell until one of both ends."""
        works = {"hear": self._hear(), "tell": self._tell(), "dismissed": self._until_dismissed()}
        tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if self._asked:
                with suppress(RetryLater):
                    await self._deliveries.release(self._holder)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, RetryLater | WebSocketDisconnect | RuntimeError):
                log.error("socket-failed", exc_info=error)
        with suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
            await self._socket.close(self._code())

    def dismiss(self) -> None:
        """End it to make room for another one."""
        self._dismissed.set()

    async def _until_dismissed(self) -> None:
        await self._dismissed.wait()

    def _code(self) -> int:
        if self._dismissed.is_set():
            return _LATER
        return _GOING if self._bound else _POLICY

    async def _hear(self) -> None:
        """Take tokens; whoever says anything else, or a token that is not good, is sent away."""
        while True:
            said = await self._socket.receive()
            if said["type"] == "websocket.disconnect":
                return
            command, _, token = (said.get("text") or "").partition(" ")
            if command.rstrip(":") != _BIND or len(self._bound) >= _MAX_BOUND:
                return
            if not self._places.take(self):
                self.dismiss()
                return
            if not await self._bind(token.strip()):
                return

    async def _bind(self, token: str) -> bool:
        self._asked = True
        found = await self._deliveries.bind(token, self._holder)
        for subscription in found:
            log.info("socket-bound", subscription_ref=subscription.id)
            async with self._sending:
                await self._send(subscription, Kind.HANDSHAKE, ())
                self._bound[subscription.id] = _Bound(subscription.delivered, time.monotonic())
        return bool(found)

    async def _tell(self) -> None:
        began = time.monotonic()
        while self._bound or time.monotonic() - began < _BIND_WITHIN:
            heard = self._bell.rung
            for subscription, bound in list(self._bound.items()):
                async with self._sending:
                    if not await self._tell_one(subscription, bound):
                        del self._bound[subscription]
                        if not self._bound:
                            return
            await self._bell.wait(self._poll, heard)

    async def _tell_one(self, subscription: str, bound: _Bound) -> bool:
        """Send all that waits, or a heartbeat that is due; False when the subscription is no longer this socket's."""
        await self._settle(subscription, bound)
        while True:
            found = await self._deliveries.waiting(subscription, self._holder, bound.sent)
            if found is None:
                return False
            now, events = found
            if not events:
                break
            await self._send(now, Kind.EVENT, events)
            bound.sent, bound.told = events[-1].number, time.monotonic()
            bound.recent.append((bound.told, bound.sent))
        heartbeat = now.wanted.channel.heartbeat
        if heartbeat and time.monotonic() - bound.told >= heartbeat:
            await self._send(now, Kind.HEARTBEAT, ())
            bound.told = time.monotonic()
        return True

    async def _settle(self, subscription: str, bound: _Bound) -> None:
        arrived = 0
        while bound.recent and time.monotonic() - bound.recent[0][0] >= self._settled:
            _, arrived = bound.recent.popleft()
        if arrived:
            await self._deliveries.arrived(subscription, self._holder, arrived)

    async def _send(self, to: Subscription, kind: Kind, events: tuple[Event, ...]) -> None:
        content = to.wanted.channel.content
        document = notification(to, kind, events, content=content, name=uuid4(), now=datetime.now(UTC))
        await self._socket.send_text(json.dumps(document, ensure_ascii=False))
        metrics().count("causeway_subscription_deliveries_total", kind=kind.value, outcome="done")
        log.info("notification-sent", subscription_ref=to.id, kind=kind.value, event_count=len(events))
        for kind_of_it, ref in disclosed(to, events):
            log.info("patient-data-sent", subscription_ref=to.id, resource=kind_of_it, ref=ref)
