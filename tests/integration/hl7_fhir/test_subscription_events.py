"""From changes to numbered events and their delivery, on SQLite and PostgreSQL."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from services.hl7_fhir.adapters import deliveries
from services.hl7_fhir.adapters.deliveries import Job, Patience
from services.hl7_fhir.adapters.rest_hooks import RestHooks
from services.hl7_fhir.adapters.subscription_tables import subscription_events, subscription_tokens, subscriptions
from services.hl7_fhir.adapters.tables import changes
from services.hl7_fhir.adapters.trimming import Trimming
from services.hl7_fhir.domain.subscriptions.notification import Kind
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused, VersionConflict
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, read
from shared.sql import Database
from tests.support.certificates import Authority
from tests.support.databases import Migrated
from tests.support.services import eventually
from tests.support.subscription_site import WHO, Site
from tests.support.subscriptions import asked, events_of, status_of


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Database]:
    found = Database(migrated(request.param, "hl7_fhir"))
    yield found
    await found.close()


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


HOOK = "http://127.0.0.1:9/hook"


async def test_every_change_of_the_topic_is_an_event_with_the_next_number(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK)
    for name in ("p1", "p2", "p1"):
        await site.change(name)
    await site.change("o1", "ServiceRequest", status="active")
    await site.dispatch()
    events = await site.store.events(one.id, 1, None, 100)
    assert [(e.number, e.stored.id, e.stored.version, e.created) for e in events] == [
        (1, "p1", 1, True),
        (2, "p2", 1, True),
        (3, "p1", 2, False),
    ]
    assert (await site.present(one)).events == 3


async def test_what_was_before_the_subscription_does_not_concern_it(site: Site) -> None:
    await site.change("p1")
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p2")
    await site.dispatch()
    assert [e.stored.id for e in await site.store.events(one.id, 1, None, 100)] == ["p2"]


async def test_filters_narrow_the_stream_and_numbers_have_no_gap(site: Site) -> None:
    patient = {"identifier": [{"system": "urn:x:mrn", "value": "M1"}]}
    await site.change("p1", "Patient", **patient)
    criteria = "ServiceRequest?patient.identifier=urn:x:mrn|M1&status=active,revoked"
    one = await site.subscribe("servicerequest-changed", criteria, endpoint=HOOK)
    for name, owner, status in (("o1", "p1", "active"), ("o2", "p2", "active"), ("o3", "p1", "draft")):
        await site.change(name, "ServiceRequest", status=status, subject={"reference": f"Patient/{owner}"})
    await site.change("o1", "ServiceRequest", status="revoked", subject={"reference": "Patient/p1"})
    await site.dispatch()
    events = await site.store.events(one.id, 1, None, 100)
    assert [(e.number, e.stored.id, e.stored.version) for e in events] == [(1, "o1", 1), (2, "o1", 2)]


async def test_a_topic_about_a_state_hears_of_the_change_into_it(site: Site) -> None:
    one = await site.subscribe("imagingstudy-available", endpoint=HOOK)
    for status in ("registered", "available", "available", "registered", "available"):
        await site.change("s1", "ImagingStudy", status=status)
    await site.dispatch()
    assert [e.stored.version for e in await site.store.events(one.id, 1, None, 100)] == [2, 5]


async def test_many_changes_at_once_and_several_replicas_make_each_event_once(site: Site, database: Database) -> None:
    one = await site.subscribe(endpoint=HOOK)
    other = Site(database)
    for number in range(230):
        await site.change(f"p{number}")
    dispatched = [asyncio.create_task(each.dispatch()) for each in (site, other, site, other)]
    await asyncio.gather(*dispatched)
    await site.dispatch()
    first = await site.store.events(one.id, 1, 100, 100)
    assert [e.number for e in first] == list(range(1, 101))
    rows = await database.read(lambda c: c.execute(select(subscription_events.c.number)).scalars().all())
    assert sorted(rows) == list(range(1, 231))


@pytest.mark.parametrize("others", [0, 1])
async def test_who_subscribes_while_the_feed_is_read_misses_nothing(postgres: str, others: int) -> None:
    """Only where transactions overlap."""
    database = Database(postgres)
    await database.migrate("services.hl7_fhir.migrations")
    site, loop = Site(database), asyncio.get_running_loop()
    for _ in range(others):
        await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    made: list[Subscription] = []

    async def meanwhile() -> None:
        made.append(await site.subscribe(endpoint=HOOK))
        await site.change("p2")

    before, seen = site.dispatcher._listeners, []

    def listeners(connection: Any) -> Any:
        seen.append(before(connection))
        if len(seen) == 1:
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(20)
        return seen[-1]

    site.dispatcher._listeners = listeners  # type: ignore[method-assign]  # the race is made here
    await site.dispatch()
    assert [event.stored.id for event in await site.store.events(made[0].id, 1, None, 100)] == ["p2"]
    await database.close()


async def test_an_error_goes_on_counting_and_off_does_not(site: Site) -> None:
    failing, ended = await site.subscribe(endpoint=HOOK), await site.subscribe(endpoint=HOOK)
    await site.set(failing, status="error")
    await site.set(ended, status="off")
    await site.change("p1")
    await site.dispatch()
    assert (await site.present(failing)).events == 1
    assert (await site.present(ended)).events == 0


async def test_who_is_on_again_goes_on_with_the_next_number(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    off = await site.store.update(WHO, one.id, read({**one.shown(), "status": "off"}), None)
    assert off is not None
    await site.change("p2")
    again = await site.store.update(WHO, one.id, read({**off.shown(), "status": "requested"}), None)
    assert again is not None
    assert again.status is Status.REQUESTED
    await site.change("p3")
    await site.dispatch()
    events = await site.store.events(one.id, 1, None, 100)
    assert [(e.number, e.stored.id) for e in events] == [(1, "p1"), (2, "p3")]


async def test_a_subscription_is_its_creators_alone_and_versions_guard_it(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK, header=["X-Key: secret"])
    assert await site.store.read("another", one.id) is None
    assert await site.store.all_of("another") == ()
    assert await site.store.update("another", one.id, one.wanted, None) is None
    assert not await site.store.delete("another", one.id)
    with pytest.raises(VersionConflict):
        await site.store.update(WHO, one.id, one.wanted, one.version + 1)
    masked = await site.store.update(WHO, one.id, read(one.shown()), one.version)
    assert masked is not None
    assert [(each.name, each.value) for each in masked.wanted.channel.headers] == [("X-Key", "secret")]
    assert masked.status is Status.ACTIVE
    raw = await site.database.read(lambda c: c.execute(select(subscriptions)).one())
    assert "secret" not in str(tuple(raw))
    assert await site.store.delete(WHO, one.id)
    assert await site.store.read(WHO, one.id) is None


async def test_a_client_whose_token_was_withdrawn_is_told_nothing_more(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    site.known.discard(WHO)
    assert await site.deliveries.claim(10) == []
    stopped = await site.present(one)
    assert (stopped.status, stopped.error, stopped.version) == (Status.OFF, "token-withdrawn", one.version + 1)
    site.known.add(WHO)
    assert await site.deliveries.claim(10) == []


async def test_while_nobody_knows_whether_a_token_was_withdrawn_its_client_is_told_nothing_and_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SETTLED", 0.05)
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    site.known.discard(WHO)
    site.is_unsure = True
    assert await site.deliveries.claim(10) == []
    assert (await site.present(one)).status is Status.ACTIVE
    site.known.add(WHO)
    told: list[Job] = []

    async def is_told() -> bool:
        told.extend(await site.deliveries.claim(10))
        return bool(told)

    await eventually(is_told)
    assert [event.number for event in told[0].events] == [1]


async def test_there_are_no_more_subscriptions_than_the_operator_wants(site: Site) -> None:
    for _ in range(10):
        await site.subscribe(endpoint=HOOK)
    with pytest.raises(SubscriptionRefused, match="too-many"):
        await site.subscribe(endpoint=HOOK)


async def test_a_notification_is_claimed_by_one_sender_and_goes_on_after_the_last_that_arrived(
    database: Database,
) -> None:
    at_once = Patience(first=0.0, longest=0.0, give_up=60)
    site, other = Site(database, at_once), Site(database, at_once)
    one = await site.subscribe(endpoint=HOOK, max_count=2)
    for number in range(5):
        await site.change(f"p{number}")
    await site.dispatch()
    claims = await asyncio.gather(*(each.deliveries.claim(10) for each in (site, other, site, other)))
    (job,) = [job for claimed in claims for job in claimed]
    assert [event.number for event in job.events] == [1, 2]
    await site.deliveries.failed(job, "http-500")
    (again,) = await site.deliveries.claim(10)
    assert [event.number for event in again.events] == [1, 2]
    following = await other.deliveries.succeeded(again)
    assert following is not None
    assert [event.number for event in following.events] == [3, 4]
    last = await other.deliveries.succeeded(following)
    assert last is not None
    assert [event.number for event in last.events] == [5]
    assert await other.deliveries.succeeded(last) is None
    assert (await site.present(one)).delivered == 5
    assert await site.deliveries.claim(10) == []


async def test_a_sender_that_has_lost_its_claim_moves_nothing(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    (lost,) = await site.deliveries.claim(10)
    await site.set(one, claimed_until=0.0)  # its time is over
    (held,) = await site.deliveries.claim(10)
    assert await site.deliveries.succeeded(lost) is None
    await site.deliveries.failed(lost, "no-response")
    assert (await site.present(one)).delivered == 0
    await site.deliveries.succeeded(held)
    assert (await site.present(one)).delivered == 1


async def test_what_was_sent_to_an_endpoint_that_has_changed_meanwhile_is_sent_again(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    (job,) = await site.deliveries.claim(10)
    moved = read(asked(endpoint=HOOK + "/new"))
    await site.store.update(WHO, one.id, moved, None)
    assert await site.deliveries.succeeded(job) is None
    (handshake,) = await site.deliveries.claim(10)
    assert handshake.kind is Kind.HANDSHAKE
    following = await site.deliveries.succeeded(handshake)
    assert following is not None
    assert [event.number for event in following.events] == [1]
    assert following.subscription.wanted.channel.endpoint == HOOK + "/new"


async def test_failures_become_an_error_in_time_and_a_new_request_goes_on_where_it_stopped(database: Database) -> None:
    site = Site(database, Patience(first=0.0, longest=0.0, give_up=0.0))
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p1")
    await site.dispatch()
    (job,) = await site.deliveries.claim(10)
    await site.deliveries.failed(job, "no-response")
    failed = await site.present(one)
    assert (failed.status, failed.error) == (Status.ERROR, "no-response")
    assert await site.deliveries.claim(10) == []
    await site.change("p2")
    await site.dispatch()
    await site.store.update(WHO, one.id, read({**failed.shown(), "status": "requested"}), None)
    (handshake,) = await site.deliveries.claim(10)
    following = await site.deliveries.succeeded(handshake)
    assert following is not None
    assert [event.number for event in following.events] == [1, 2]
    assert (await site.present(one)).error is None


async def test_what_has_arrived_is_deleted_in_time_and_what_has_not_turns_the_subscription_off(site: Site) -> None:
    told, waiting = await site.subscribe(endpoint=HOOK), await site.subscribe(endpoint=HOOK)
    over = await site.subscribe(endpoint=HOOK, end="2099-01-01T00:00:00Z")
    await site.change("p1")
    await site.dispatch()
    await site.set(told, delivered=1)
    await site.set(over, ends=1.0, delivered=1)
    await site.dispatcher.tidy()
    assert await site.numbers(told) == await site.numbers(waiting) == [1]
    assert (await site.present(over)).status is Status.OFF
    old = update(subscription_events).values(at=datetime(2020, 1, 1, tzinfo=UTC))
    await site.database.run(lambda connection: connection.execute(old))
    await site.dispatcher.tidy()
    assert await site.numbers(told) == await site.numbers(waiting) == []
    assert (await site.present(told)).status is Status.ACTIVE
    gone = await site.present(waiting)
    assert (gone.status, gone.error) == (Status.OFF, "events-expired")
    # Whoever is on again is not sent what is no more, and hears of what follows.
    await site.store.update(WHO, gone.id, read({**gone.shown(), "status": "requested"}), None)
    (handshake,) = await site.deliveries.claim(10)
    assert await site.deliveries.succeeded(handshake) is None
    await site.change("p2")
    await site.dispatch()
    jobs = {job.subscription.id: job for job in await site.deliveries.claim(10)}
    assert [event.number for event in jobs[waiting.id].events] == [2]


async def test_old_changes_go_when_every_subscription_has_heard_of_them(site: Site) -> None:
    one = await site.subscribe()
    for number in range(6):
        await site.change(f"p{number}")
    trimming = Trimming(site.database, 3600)

    async def trimmed() -> list[int]:
        while await trimming.trim(2):
            pass
        return list(await site.database.read(lambda c: c.execute(select(changes.c.number)).scalars().all()))

    every = await trimmed()
    assert len(every) == 6
    old = update(changes).values(updated=datetime(2020, 1, 1, tzinfo=UTC))
    await site.database.run(lambda c: c.execute(old))
    assert await trimmed() == every  # nobody has heard of them
    await site.dispatch()
    assert await trimmed() == every[-1:]
    await site.change("p6")
    await site.dispatch()
    assert await site.numbers(one) == [1, 2, 3, 4, 5, 6, 7]
    await site.change("p7")
    await site.set(one, status=Status.OFF.value)
    await site.database.run(lambda c: c.execute(old))
    assert len(await trimmed()) == 1


async def test_a_token_binds_one_socket_once_and_the_last_bound_is_told(site: Site) -> None:
    one = await site.subscribe()
    await site.change("p1")
    await site.dispatch()
    token, _ = await site.store.token([one.id])
    assert [each.id for each in await site.sockets.bind(token, "first")] == [one.id]
    assert await site.sockets.bind(token, "second") == ()
    assert await site.sockets.bind("nonsense", "second") == ()
    found = await site.sockets.waiting(one.id, "first", 0)
    assert found is not None
    assert [event.number for event in found[1]] == [1]
    again, _ = await site.store.token([one.id])
    await site.sockets.bind(again, "second")
    assert await site.sockets.waiting(one.id, "first", 0) is None
    await site.sockets.arrived(one.id, "first", 1)
    assert (await site.present(one)).delivered == 0
    await site.sockets.arrived(one.id, "second", 1)
    assert (await site.present(one)).delivered == 1


async def test_a_token_that_is_too_old_binds_nothing(site: Site) -> None:
    one = await site.subscribe()
    token, _ = await site.store.token([one.id])
    await site.database.run(lambda connection: connection.execute(update(subscription_tokens).values(expires=1.0)))
    assert await site.sockets.bind(token, "late") == ()


async def test_large_resources_come_in_notifications_of_bounded_size(site: Site) -> None:
    one = await site.subscribe(endpoint=HOOK, content="full-resource")
    for number in range(4):
        await site.change(f"p{number}", text={"div": "x" * 200_000})
    await site.dispatch()
    sizes = []
    (job,) = await site.deliveries.claim(10)
    following: Job | None = job
    while following:
        sizes.append(len(following.events))
        following = await site.deliveries.succeeded(following)
    assert sizes == [2, 2]
    assert (await site.present(one)).delivered == 4


@dataclass
class Hook:
    """A web hook in this process: what it heard. ``answer`` makes the status of the n-th answer, None makes none."""

    url: str
    answer: Callable[[int], str | None] = lambda _: "200 OK"
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def numbers(self) -> list[int]:
        return [event["event-number"] for _, bundle in self.heard for event in events_of(bundle)]

    def kinds(self) -> list[str]:
        return [status_of(bundle)["type"] for _, bundle in self.heard]


class Hooks:
    """A server of web hooks, by their paths."""

    def __init__(self) -> None:
        self._made: dict[str, Hook] = {}
        self._silent = asyncio.Event()
        self.base = ""

    async def start(self, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
        self.base = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}/hooks"
        return server

    def make(self, answer: Callable[[int], str | None] = lambda _: "200 OK") -> Hook:
        path = f"/hooks/{len(self._made)}"
        self._made[path] = Hook(self.base.removesuffix("/hooks") + path, answer)
        return self._made[path]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length")
                )
                one = self._made[head.split(" ")[1]]
                one.heard.append((head, json.loads(await reader.readexactly(length))))
                status = one.answer(len(one.heard))
                if status is None:
                    await self._silent.wait()
                place = f"{self.base}/elsewhere"
                writer.write(f"HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    def end(self) -> None:
        """Let go whoever waits for an answer."""
        self._silent.set()


@pytest.fixture
async def hooks(site: Site) -> AsyncIterator[Hooks]:
    """Subscribers, with dispatcher and couriers as the service runs them."""
    found = Hooks()
    server = await found.start()
    couriers = RestHooks(site.deliveries, site.bell, listed=(found.base,), poll=0.05)
    tasks = [asyncio.create_task(site.dispatcher.run()), asyncio.create_task(couriers.run())]
    yield found
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found.end()
    server.close()


async def has_delivered(site: Site, one: Subscription, number: int) -> bool:
    return (await site.present(one)).delivered == number


async def has_status(site: Site, one: Subscription, status: Status) -> bool:
    return (await site.present(one)).status is status


async def test_handshake_then_batches_then_heartbeats_with_the_subscribers_headers(site: Site, hooks: Hooks) -> None:
    ears = hooks.make()
    one = await site.subscribe(
        endpoint=ears.url, active=False, header=["Authorization: Bearer s3cret"], max_count=3, heartbeat=1
    )
    await eventually(lambda: has_status(site, one, Status.ACTIVE))
    for number in range(7):
        await site.change(f"p{number}")
    await eventually(lambda: len(ears.numbers()) == 7)
    await eventually(lambda: "heartbeat" in ears.kinds())
    assert ears.numbers() == list(range(1, 8))
    assert ears.kinds()[0] == "handshake"
    assert all(len(events_of(bundle)) <= 3 for _, bundle in ears.heard)
    assert all("authorization: bearer s3cret" in head.lower() for head, _ in ears.heard)
    assert all("content-type: application/fhir+json" in head.lower() for head, _ in ears.heard)
    assert not any("traceparent" in head.lower() for head, _ in ears.heard)


@pytest.mark.parametrize("status", ["500 No", "404 No", "302 Found", "307 Temporary"])
async def test_a_handshake_that_is_not_accepted_is_an_error_and_no_redirect_is_followed(
    site: Site, hooks: Hooks, status: str
) -> None:
    ears = hooks.make(lambda _: status)
    one = await site.subscribe(endpoint=ears.url, active=False)
    await eventually(lambda: has_status(site, one, Status.ERROR))
    assert (await site.present(one)).error == f"http-{status[:3]}"
    assert len(ears.heard) == 1
    assert ears.heard[0][0].startswith("POST /hooks/0 ")


async def test_a_dead_subscriber_and_a_silent_one_hold_up_no_other(site: Site, hooks: Hooks) -> None:
    well, silent = hooks.make(), hooks.make(lambda number: "200 OK" if number == 1 else None)
    refusing = hooks.make(lambda number: "200 OK" if number == 1 else "503 Later")
    made = [await site.subscribe(endpoint=each.url, active=False, timeout=60) for each in (silent, refusing, well)]
    for one in made:
        await eventually(partial(has_status, site, one, Status.ACTIVE))
    for number in range(20):
        await site.change(f"p{number}")
    await eventually(lambda: len(well.numbers()) == 20)
    assert well.numbers() == list(range(1, 21))
    assert (await site.present(made[0])).delivered == 0
    assert (await site.present(made[1])).delivered == 0
    await eventually(lambda: has_delivered(site, made[2], 20))


async def test_trouble_repeats_the_same_numbers_until_they_arrive_in_order(site: Site, hooks: Hooks) -> None:
    ears = hooks.make(lambda number: "503 Later" if number in (2, 3, 5) else "200 OK")
    one = await site.subscribe(endpoint=ears.url, active=False, max_count=1)
    await eventually(lambda: has_status(site, one, Status.ACTIVE))
    for number in range(4):
        await site.change(f"p{number}")
    await eventually(lambda: len(ears.numbers()) >= 7)
    assert ears.numbers() == [1, 1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(("is_trusted", "status"), [(True, Status.ACTIVE), (False, Status.ERROR)])
async def test_an_endpoint_is_proven_by_its_certificate(
    site: Site, tmp_path: Path, is_trusted: bool, status: Status
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(issued.certificate, issued.key)
    found = Hooks()
    server = await found.start(tls)
    ears = found.make()
    one = await site.subscribe(endpoint=ears.url, active=False, content="full-resource")
    trust = ssl.create_default_context(cafile=authority.path) if is_trusted else None
    sending = RestHooks(site.deliveries, site.bell, listed=(found.base,), trust=trust)
    couriers = asyncio.create_task(sending.run())
    await eventually(lambda: has_status(site, one, status))
    assert len(ears.heard) == is_trusted
    couriers.cancel()
    await asyncio.gather(couriers, return_exceptions=True)
    server.close()


async def test_a_service_that_ends_leaves_what_it_was_sending_to_the_next(site: Site) -> None:
    found = Hooks()
    server = await found.start()
    ears = found.make(lambda _: None)
    await site.subscribe(endpoint=ears.url, timeout=60)
    await site.change("p1")
    await site.dispatch()
    couriers = asyncio.create_task(RestHooks(site.deliveries, site.bell, listed=(found.base,)).run())
    await eventually(lambda: bool(ears.heard))
    assert await site.deliveries.claim(10) == []
    couriers.cancel()
    await asyncio.gather(couriers, return_exceptions=True)
    (job,) = await site.deliveries.claim(10)
    assert [event.number for event in job.events] == [1]
    found.end()
    server.close()


async def test_an_endpoint_that_is_no_longer_listed_is_not_asked(site: Site) -> None:
    found = Hooks()
    server = await found.start()
    ears = found.make()
    one = await site.subscribe(endpoint=ears.url, active=False)
    couriers = asyncio.create_task(RestHooks(site.deliveries, site.bell, listed=()).run())
    await eventually(lambda: has_status(site, one, Status.ERROR))
    couriers.cancel()
    server.close()
    assert (await site.present(one)).error == "endpoint-not-allowed"
    assert ears.heard == []


async def test_a_subscription_that_cannot_be_read_stops_no_other(site: Site) -> None:
    broken, well = await site.subscribe(endpoint=HOOK), await site.subscribe(endpoint=HOOK)
    await site.set(broken, body='{"criteria": "urn:x:gone", "reason": "x", "channel": {}}')
    await site.change("p1")
    await site.dispatch()
    assert await site.numbers(well) == [1]
    assert [one.id for one in await site.store.all_of(WHO)] == [well.id]
    state = select(subscriptions.c.status).where(subscriptions.c.id == broken.id)
    assert await site.database.read(lambda c: c.execute(state).scalar_one()) == "off"


async def test_the_position_moves_on_without_subscriptions(site: Site) -> None:
    for number in range(3):
        await site.change(f"p{number}")
    await site.dispatch()
    one = await site.subscribe(endpoint=HOOK)
    await site.change("p9")
    await site.dispatch()
    assert await site.numbers(one) == [1]
