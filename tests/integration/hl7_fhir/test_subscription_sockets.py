"""Websockets of subscriptions, spoken to as uvicorn speaks to an application (ASGI 3, websocket 2.3)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from services.hl7_fhir.domain.subscriptions.subscription import Subscription, read
from services.hl7_fhir.handlers.sockets import Sockets
from services.hl7_fhir.handlers.subscription_answers import SOCKET_PATH
from services.hl7_fhir.handlers.subscriptions import Subscriptions
from shared.http.access import Guarded, Tokens
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.services import eventually
from tests.support.subscription_site import WHO, Site
from tests.support.subscriptions import events_of, status_of

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture(params=["sqlite", "postgresql"])
async def site(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Site]:
    database = Database(migrated(request.param, "hl7_fhir"))
    found = Site(database)
    dispatching = asyncio.create_task(found.dispatcher.run())
    yield found
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)
    await database.close()


class Peer:
    """The other end of one websocket."""

    def __init__(self, application: Any, path: str = SOCKET_PATH) -> None:
        self.said: list[dict[str, Any]] = []
        self.closed: int | None = None
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
        self._serving = asyncio.create_task(application(scope, self._incoming.get, self._take))

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self.said.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.closed = message["code"]

    def say(self, text: str) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def leave(self) -> None:
        """Break off, as a killed process does."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await self.ended()

    async def ended(self) -> None:
        await asyncio.wait_for(self._serving, 20)

    def numbers(self) -> list[int]:
        return [event["event-number"] for bundle in self.said for event in events_of(bundle)]

    def kinds(self) -> list[str]:
        return [status_of(bundle)["type"] for bundle in self.said]


def served(site: Site, routes: tuple[BaseRoute, ...] = (), **more: Any) -> Guarded:
    """The application behind tokens, as HttpServer makes it."""
    sockets = Sockets(site.sockets, site.bell, poll=0.05, **more)
    found = (*routes, *Subscriptions(site.store, sockets, enabled=True, endpoints=()).routes())
    tokens = Tokens({"ehr": "a-token-of-the-ehr-that-is-long"})
    return Guarded(Starlette(routes=list(found)), lambda: tokens, found)


async def token(site: Site, *bound: Subscription) -> str:
    found, _ = await site.store.token([each.id for each in bound])
    return found


@asynccontextmanager
async def bound(site: Site, application: Guarded, *subscriptions: Subscription) -> AsyncIterator[Peer]:
    peer = Peer(application)
    peer.say(f"bind-with-token {await token(site, *subscriptions)}")
    await eventually(lambda: len(peer.kinds()) >= len(subscriptions))
    yield peer
    await peer.leave()


async def test_whoever_is_bound_has_a_handshake_then_what_waited_then_what_happens(site: Site) -> None:
    one = await site.subscribe(heartbeat=1, max_count=2)
    for number in range(3):
        await site.change(f"p{number}")
    async with bound(site, served(site), one) as peer:
        await eventually(lambda: len(peer.numbers()) == 3)
        await site.change("p9")
        await eventually(lambda: len(peer.numbers()) == 4)
        await eventually(lambda: "heartbeat" in peer.kinds())
        assert peer.numbers() == [1, 2, 3, 4]
        assert peer.kinds()[:3] == ["handshake", "event-notification", "event-notification"]


async def test_who_breaks_off_and_comes_back_misses_nothing(site: Site) -> None:
    one = await site.subscribe()
    application, heard = served(site), []
    for turn in range(4):
        async with bound(site, application, one) as peer:
            for number in range(5):
                await site.change(f"p{turn}-{number}")
            await eventually(lambda peer=peer, turn=turn: max(peer.numbers(), default=0) >= 5 * turn + 3)  # type: ignore[misc]  # mypy does not infer a lambda with defaults
        heard += peer.numbers()
    async with bound(site, application, one) as peer:
        await eventually(lambda: 20 in peer.numbers())
        heard += peer.numbers()
    assert set(heard) == set(range(1, 21))
    events = await site.store.events(one.id, 1, None, 100)
    assert [event.number for event in events] == list(range(1, 21))


async def test_what_has_settled_is_not_sent_again(site: Site) -> None:
    one = await site.subscribe()
    await site.change("p1")
    application = served(site, settled=0.1)
    async with bound(site, application, one) as peer:
        await eventually(lambda: peer.numbers() == [1])
        await eventually(lambda: _delivered(site, one, 1))
    await site.change("p2")
    async with bound(site, application, one) as peer:
        await eventually(lambda: 2 in peer.numbers())
        assert peer.numbers() == [2]


async def _delivered(site: Site, one: Subscription, number: int) -> bool:
    return (await site.present(one)).delivered == number


async def test_one_socket_takes_several_subscriptions(site: Site) -> None:
    patients = await site.subscribe("patient-changed")
    orders = await site.subscribe("servicerequest-changed", content="empty")
    async with bound(site, served(site), patients, orders) as peer:
        await site.change("p1")
        await site.change("o1", "ServiceRequest", status="active")
        await eventually(lambda: peer.numbers() == [1, 1])
        owners = {status_of(bundle)["subscription"].rpartition("/")[2] for bundle in peer.said}
        assert owners == {patients.id, orders.id}


async def test_the_socket_that_is_bound_last_is_told(site: Site) -> None:
    one = await site.subscribe()
    application = served(site)
    async with bound(site, application, one) as first, bound(site, application, one) as second:
        await eventually(lambda: first.closed is not None)
        await site.change("p1")
        await eventually(lambda: second.numbers() == [1])
        assert first.numbers() == []


@pytest.mark.parametrize("said", ["bind-with-token nonsense", "bind-with-token", "hello", "x" * 5000, ""])
async def test_whoever_has_no_good_token_is_sent_away(site: Site, said: str) -> None:
    one = await site.subscribe()
    await site.change("p1")
    peer = Peer(served(site))
    peer.say(said)
    await peer.ended()
    assert (peer.said, peer.closed) == ([], 1008)
    assert (await site.present(one)).delivered == 0


async def test_a_token_is_good_once(site: Site) -> None:
    one = await site.subscribe()
    application, good = served(site), await token(site, one)
    first, second = Peer(application), Peer(application)
    first.say(f"bind-with-token: {good}")
    await eventually(lambda: first.kinds() == ["handshake"])
    second.say(f"bind-with-token: {good}")
    await second.ended()
    assert second.said == []
    await first.leave()


async def test_a_subscription_that_is_turned_off_ends_its_socket(site: Site) -> None:
    one = await site.subscribe()
    async with bound(site, served(site), one) as peer:
        await site.store.update(WHO, one.id, read({**one.shown(), "status": "off"}), None)
        await eventually(lambda: peer.closed is not None)


async def test_a_socket_ends_when_the_token_of_its_client_is_withdrawn(site: Site) -> None:
    one = await site.subscribe()
    async with bound(site, served(site), one) as peer:
        site.known.discard(WHO)
        await site.change("p1")
        await eventually(lambda: peer.closed is not None)
        assert peer.numbers() == []
    assert (await site.present(one)).error == "token-withdrawn"


async def test_a_socket_whose_client_may_have_lost_its_token_waits_until_that_is_known(site: Site) -> None:
    one = await site.subscribe()
    async with bound(site, served(site), one) as peer:
        site.is_unsure = True
        site.known.discard(WHO)
        await site.change("p1")
        await site.dispatch()
        await asyncio.sleep(0.5)
        assert (peer.closed, peer.numbers()) == (None, [])
        site.known.add(WHO)
        await eventually(lambda: peer.numbers() == [1])


async def test_who_holds_no_token_any_more_binds_no_socket(site: Site) -> None:
    one = await site.subscribe()
    peer = Peer(served(site))
    peer.say(f"bind-with-token {await token(site, one)}")
    site.known.discard(WHO)
    await eventually(lambda: peer.closed is not None)
    assert (await site.present(one)).error == "token-withdrawn"
    await peer.leave()


async def test_there_are_no_more_sockets_than_the_limit(site: Site) -> None:
    one, other = await site.subscribe(), await site.subscribe()
    application = served(site, limit=1)
    early = Peer(application)
    await asyncio.sleep(0)
    async with bound(site, application, one):
        second = Peer(application)
        await second.ended()
        assert second.closed == 1013
        good = await token(site, other)
        early.say(f"bind-with-token {good}")
        await early.ended()
        assert (early.said, early.closed) == ([], 1013)
    third = Peer(application)
    third.say(f"bind-with-token {good}")  # it was not used up
    await eventually(lambda: third.kinds() == ["handshake"])
    await third.leave()


async def test_sockets_that_say_nothing_keep_nobody_out(site: Site) -> None:
    one = await site.subscribe()
    application = served(site, limit=1, unbound=3)
    idle = []
    for _ in range(9):
        idle.append(Peer(application))
        await asyncio.sleep(0)
    async with bound(site, application, one) as peer:
        for gone in idle[:7]:
            await gone.ended()
            assert gone.closed == 1013
        assert [left.closed for left in idle[7:]] == [None, None]
        await site.change("p1")
        await eventually(lambda: peer.numbers() == [1])
    for left in idle[7:]:
        await left.leave()


async def test_a_websocket_without_a_token_of_its_own_is_never_served(site: Site) -> None:
    async def careless(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text('"secret"')

    peer = Peer(served(site, (WebSocketRoute("/careless", careless),)), "/careless")
    await peer.ended()
    assert peer.said == []
