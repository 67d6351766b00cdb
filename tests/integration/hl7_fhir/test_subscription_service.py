"""Subscriptions of the service as a process: its API, and that nobody misses an event, whatever is killed."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fhir import assert_valid
from tests.support.hl7 import CANARIES, adt, mllp_peer
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.services import eventually
from tests.support.subscriptions import SubscriberProcess, asked, events_of, status_of


class Client:
    """A client of the FHIR API."""

    def __init__(self, service: Hl7Service, token: str | None = None) -> None:
        self._base = service.http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, document: Any = None, **headers: str) -> httpx.Response:
        """One request, with a resource if there is one."""
        content = None if document is None else json.dumps(document).encode()
        sent = {**self._headers, "Content-Type": "application/fhir+json", **headers}
        async with httpx.AsyncClient(base_url=self._base) as client:
            return await client.request(method, f"/fhir/{path}", content=content, headers=sent)

    async def subscribe(self, *given: Any, **more: Any) -> dict[str, Any]:
        """The Subscription as made."""
        answer = await self.ask("POST", "Subscription", asked(*given, **more))
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def status(self, made: dict[str, Any]) -> dict[str, Any]:
        """``$status`` of it."""
        bundle = (await self.ask("GET", f"Subscription/{made['id']}/$status")).json()
        return status_of(bundle)

    async def is_active(self, made: dict[str, Any]) -> bool:
        return (await self.status(made))["status"] == "active"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'x.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
async def subscriber(tmp_path: Path) -> AsyncIterator[SubscriberProcess]:
    found = SubscriberProcess(tmp_path)
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.kill)


def made(folder: Path, nats: NatsServer, subscriber: SubscriberProcess, **more: str) -> Hl7Service:
    listed = json.dumps([f"http://127.0.0.1:{subscriber.port}/hooks/"])
    settings = {"fhir_subscriptions": "true", "fhir_subscription_endpoints": listed, **more}
    return Hl7Service(folder, nats, **settings)


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess) -> AsyncIterator[Hl7Service]:
    found = made(tmp_path, nats_server, subscriber)
    await found.provision()
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.stop)


class Feed:
    """A RIS that never tires: each message is sent until it has its AA."""

    def __init__(self, service: Hl7Service) -> None:
        self._service = service
        self.sent = 0

    async def run(self, count: int, name: str = "P") -> None:
        """So many patients, one after the other."""
        for number in itertools.count(1):
            if number > count:
                return
            pid = f"PID|1||{name}{number}^^^HOSP^MR||Doe^Jane"
            await self._insist(adt("A04", control_id=f"{name}{number}", pid=pid))
            self.sent = number

    async def _insist(self, content: bytes) -> None:
        while True:
            try:
                async with mllp_peer(self._service.mllp) as peer:
                    if b"\rMSA|AA|" in await peer.send(content):
                        return
            except OSError:
                pass
            await asyncio.sleep(0.05)

    async def until(self, count: int) -> None:
        """Wait until so many were answered."""
        await eventually(lambda: self.sent >= count, 60)


async def test_whatever_is_killed_the_subscriber_misses_no_event(
    tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess, database: str
) -> None:
    service = made(tmp_path, nats_server, subscriber, database_url=database)
    await service.provision()
    await asyncio.to_thread(service.server.start)
    client, feed = Client(service), Feed(service)
    one = await client.subscribe(endpoint=subscriber.endpoint, content="full-resource", max_count=5)
    await eventually(lambda: client.is_active(one))
    feeding = asyncio.create_task(feed.run(60))
    await feed.until(10)
    await asyncio.to_thread(subscriber.server.kill)
    await feed.until(20)
    await asyncio.to_thread(service.server.kill)
    await asyncio.to_thread(service.server.start)
    await feed.until(30)
    await asyncio.to_thread(subscriber.server.start)
    await feed.until(40)
    await asyncio.to_thread(service.server.kill)
    await asyncio.to_thread(service.server.start)
    await feeding
    await eventually(lambda: {event["event-number"] for event in subscriber.events()} >= set(range(1, 61)), 90)
    heard = subscriber.events()
    assert {event["event-number"] for event in heard} == set(range(1, 61))
    assert len({(event["event-number"], event["focus"]) for event in heard}) == 60
    assert len({event["focus"] for event in heard}) == 60
    first = list(dict.fromkeys(event["event-number"] for event in heard))
    assert first == sorted(first)
    for each in subscriber.heard()[:3]:
        assert_valid(each["bundle"])
    told = await client.status(one)
    assert (told["status"], told["events-since-subscription-start"]) == ("active", "60")
    again = (await client.ask("GET", f"Subscription/{one['id']}/$events?eventsSinceNumber=11")).json()
    assert [event["event-number"] for event in events_of(again)] == list(range(11, 61))
    assert {e["focus"] for e in events_of(again)} == {e["focus"] for e in heard if e["event-number"] > 10}
    await asyncio.to_thread(service.server.stop)


async def _listen(client: Client, one: dict[str, Any], heard: list[dict[str, Any]], killed: asyncio.Event) -> None:
    """A subscriber by websocket that binds itself anew whenever the connection ends; ``killed`` breaks it off."""
    connect = pytest.importorskip("websockets.asyncio.client").connect
    while True:
        with suppress(OSError, httpx.HTTPError, pytest.importorskip("websockets.exceptions").WebSocketException):
            told = (await client.ask("GET", f"Subscription/{one['id']}/$get-ws-binding-token")).json()
            values = {each["name"]: next(each[key] for key in each if key != "name") for each in told["parameter"]}
            async with connect(values["websocket-url"], max_size=2**24) as socket:
                await socket.send(f"bind-with-token {values['token']}")
                while not killed.is_set():
                    with suppress(TimeoutError):
                        heard += events_of(json.loads(await asyncio.wait_for(socket.recv(), 0.2)))
                socket.transport.abort()
        killed.clear()
        await asyncio.sleep(0.2)


async def test_whatever_is_killed_a_websocket_misses_no_event(
    tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess, database: str
) -> None:
    pytest.importorskip("websockets.asyncio.client")
    service = made(tmp_path, nats_server, subscriber, database_url=database)
    await service.provision()
    await asyncio.to_thread(service.server.start)
    client, feed = Client(service), Feed(service)
    one = await client.subscribe(max_count=5)
    heard: list[dict[str, Any]] = []
    killed = asyncio.Event()
    listening = asyncio.create_task(_listen(client, one, heard, killed))
    feeding = asyncio.create_task(feed.run(40))
    await feed.until(10)
    killed.set()
    await feed.until(20)
    await asyncio.to_thread(service.server.kill)
    await asyncio.to_thread(service.server.start)
    await feed.until(30)
    killed.set()
    await feeding
    await eventually(lambda: {event["event-number"] for event in heard} >= set(range(1, 41)), 60)
    listening.cancel()
    assert {event["event-number"] for event in heard} == set(range(1, 41))
    assert len({(event["event-number"], event["focus"]) for event in heard}) == 40
    await asyncio.to_thread(service.server.stop)


async def test_two_replicas_deliver_each_event_once_and_in_order(
    tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess, postgres: str
) -> None:
    (tmp_path / "other").mkdir()
    first = made(tmp_path, nats_server, subscriber, database_url=postgres)
    key = str(tmp_path / "site.key")
    second = made(tmp_path / "other", nats_server, subscriber, database_url=postgres, site_key_file=key)
    await first.provision()
    for each in (first, second):
        await asyncio.to_thread(each.server.start)
    one = await Client(first).subscribe(endpoint=subscriber.endpoint, max_count=1, timeout=60)
    assert (await Client(second).status(one))["subscription"].endswith(one["id"])
    await asyncio.gather(Feed(first).run(20, "A"), Feed(second).run(20, "B"))
    await eventually(lambda: len(subscriber.events()) >= 40, 60)
    assert [event["event-number"] for event in subscriber.events()] == list(range(1, 41))
    logs = [each.log.read_text() for each in (first, second)]
    assert not any("notification-failed" in log for log in logs)
    for each in (first, second):
        await asyncio.to_thread(each.server.stop)


async def test_events_tells_what_was_missed_in_part_and_with_less_content(
    service: Hl7Service, subscriber: SubscriberProcess
) -> None:
    client = Client(service)
    one = await client.subscribe(endpoint=subscriber.endpoint, content="id-only")
    await Feed(service).run(5)
    await eventually(lambda: len(subscriber.events()) == 5)
    path = f"Subscription/{one['id']}/$events"
    part = (await client.ask("GET", f"{path}?eventsSinceNumber=2&eventsUntilNumber=3&content=full-resource")).json()
    assert_valid(part)
    assert [event["event-number"] for event in events_of(part)] == [2, 3]
    assert not any("resource" in entry for entry in part["entry"][1:])
    assert status_of(part)["type"] == "query-event"
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "eventsSinceNumber", "valueString": "4"},
            {"name": "content", "valueCode": "empty"},
        ],
    }
    posted = (await client.ask("POST", path, parameters)).json()
    assert [event["event-number"] for event in events_of(posted)] == [4, 5]
    assert "Patient" not in json.dumps(posted)

    async def piecemeal() -> AsyncIterator[bytes]:
        yield json.dumps(parameters).encode()

    async with httpx.AsyncClient(base_url=service.http) as plain:
        headers = {"Content-Type": "application/fhir+json"}
        chunked = (await plain.post(f"/fhir/{path}", content=piecemeal(), headers=headers)).json()
    assert [event["event-number"] for event in events_of(chunked)] == [4, 5]
    assert (await client.ask("GET", f"{path}?eventsSinceNumber=x")).status_code == 400
    assert (await client.ask("GET", "Subscription/none/$events")).status_code == 404


async def test_a_subscription_is_made_read_changed_found_and_deleted(
    service: Hl7Service, subscriber: SubscriberProcess
) -> None:
    client = Client(service)
    document = asked(
        "patient-changed", "Patient?identifier=P1", endpoint=subscriber.endpoint, header=["X-Key: s3cret"], heartbeat=60
    )
    answer = await client.ask("POST", "Subscription", document)
    assert answer.status_code == 201
    one = answer.json()
    assert_valid(one)
    assert (one["status"], one["channel"]["header"]) == ("requested", ["X-Key: ***"])
    assert answer.headers["location"].endswith(f"/fhir/Subscription/{one['id']}")
    await eventually(lambda: client.is_active(one))
    assert subscriber.heard()[0]["headers"]["X-Key"] == "s3cret"
    assert subscriber.heard()[0]["path"] == "/hooks/causeway"
    got = await client.ask("GET", f"Subscription/{one['id']}")
    assert (got.headers["etag"], got.json()["status"]) == ('W/"2"', "active")
    off = await client.ask("PUT", f"Subscription/{one['id']}", {**got.json(), "status": "off"}, **{"If-Match": 'W/"1"'})
    assert off.status_code == 412
    off = await client.ask("PUT", f"Subscription/{one['id']}", {**got.json(), "status": "off"}, **{"If-Match": 'W/"2"'})
    assert (off.status_code, off.json()["status"]) == (200, "off")
    for query, total in (("status=off", 1), ("status=active", 0), (f"url={subscriber.endpoint}&status=off,error", 1)):
        found = (await client.ask("GET", f"Subscription?{query}")).json()
        assert_valid(found)
        assert found["total"] == total, query
    assert (await client.ask("GET", "Subscription?payload=x")).status_code == 400
    states = (await client.ask("GET", "Subscription/$status?status=off")).json()
    assert_valid(states)
    assert status_of(states)["subscription"].endswith(one["id"])
    assert (await client.ask("DELETE", f"Subscription/{one['id']}")).status_code == 204
    assert (await client.ask("GET", f"Subscription/{one['id']}")).status_code == 404
    assert (await client.ask("PUT", f"Subscription/{one['id']}", document)).status_code == 404
    assert (await client.ask("DELETE", f"Subscription/{one['id']}")).status_code == 404
    assert (await client.ask("GET", "Subscription/%00")).status_code == 404


@pytest.mark.parametrize(
    ("document", "status", "place"),
    [
        (asked(endpoint="https://evil.example/hooks/"), 403, "Subscription.channel.endpoint"),
        (asked(endpoint="http://169.254.169.254/latest/meta-data"), 403, "Subscription.channel.endpoint"),
        (asked("no-such-topic"), 422, "Subscription.criteria"),
        (asked("patient-changed", "Patient?name=Doe"), 422, "Subscription.criteria.extension"),
        (asked(end="2020-01-01T00:00:00Z"), 422, "Subscription.end"),
        ({"resourceType": "Patient"}, 422, "Subscription"),
        ("x" * 70_000, 413, None),
    ],
)
async def test_what_is_refused_is_an_operation_outcome(
    service: Hl7Service, document: Any, status: int, place: str | None
) -> None:
    answer = await Client(service).ask("POST", "Subscription", document)
    assert answer.status_code == status, answer.text
    assert_valid(answer.json())
    assert answer.json()["issue"][0].get("expression") == ([place] if place else None)
    assert "evil.example" not in answer.text


async def test_a_body_that_is_not_json_or_not_said_to_be_is_refused(service: Hl7Service) -> None:
    async with httpx.AsyncClient(base_url=service.http) as client:
        for content, kind in (
            (b"{", "application/fhir+json"),
            (b"<x/>", "application/fhir+xml"),
            (b"[" * 60_000, "application/fhir+json"),
            (json.dumps({**asked(), "reason": float("nan")}).encode(), "application/fhir+json"),
            (json.dumps({**asked(), "reason": "\ud800"}).encode(), "application/fhir+json"),
        ):
            answer = await client.post("/fhir/Subscription", content=content, headers={"Content-Type": kind})
            assert answer.status_code == 400
            assert_valid(answer.json())


async def test_topics_and_the_websocket_can_be_found(service: Hl7Service) -> None:
    client = Client(service)
    stated = (await client.ask("GET", "metadata")).json()
    assert_valid(stated)
    urls = {extension.get("valueUri") for extension in stated["rest"][0]["extension"]}
    assert f"{service.http.replace('http:', 'ws:')}/fhir/websocket" in urls
    topics = (await client.ask("GET", "Basic")).json()
    assert_valid(topics)
    first = topics["entry"][0]["resource"]
    assert (await client.ask("GET", f"Basic/{first['id']}")).json() == first
    assert (await client.ask("GET", "Basic/none")).status_code == 404


async def test_without_the_setting_there_are_no_subscriptions(tmp_path: Path, nats_server: NatsServer) -> None:
    service = Hl7Service(tmp_path, nats_server)
    await service.provision()
    await asyncio.to_thread(service.server.start)
    client = Client(service)
    assert (await client.ask("POST", "Subscription", asked())).status_code == 405
    assert (await client.ask("GET", "Subscription")).status_code == 404
    await asyncio.to_thread(service.server.stop)


async def test_a_binding_token_says_what_it_is_good_for(service: Hl7Service, subscriber: SubscriberProcess) -> None:
    client = Client(service)
    socket = await client.subscribe()
    hook = await client.subscribe(endpoint=subscriber.endpoint)
    assert socket["status"] == "active"
    for path in (f"Subscription/{socket['id']}/$get-ws-binding-token", "Subscription/$get-ws-binding-token"):
        told = (await client.ask("GET", path)).json()
        assert_valid(told)
        values = {each["name"]: next(each[key] for key in each if key != "name") for each in told["parameter"]}
        assert values["subscription"] == socket["id"]
        assert values["websocket-url"] == f"{service.http.replace('http:', 'ws:')}/fhir/websocket"
    assert (await client.ask("GET", f"Subscription/{hook['id']}/$get-ws-binding-token")).status_code == 404


async def test_each_client_sees_its_own_and_nobody_else_gets_in(
    tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess
) -> None:
    tokens = {"ehr": "a-token-of-the-ehr-that-is-long", "portal": "a-token-of-the-portal-as-long"}
    file = tmp_path / "tokens"
    file.write_text("".join(f"{name} {token}\n" for name, token in tokens.items()))
    file.chmod(0o600)
    service = made(tmp_path, nats_server, subscriber, http_token_file=str(file))
    await service.provision()
    await asyncio.to_thread(service.server.start)
    ehr, portal = (Client(service, token) for token in tokens.values())
    one = await ehr.subscribe(endpoint=subscriber.endpoint)
    assert (await Client(service).ask("GET", f"Subscription/{one['id']}")).status_code == 401
    for path in ("", "/$status", "/$events", "/$get-ws-binding-token"):
        assert (await portal.ask("GET", f"Subscription/{one['id']}{path}")).status_code == 404
    assert (await portal.ask("GET", "Subscription")).json()["total"] == 0
    assert (await portal.ask("GET", "Subscription/$status")).json()["total"] == 0
    assert (await ehr.ask("GET", "Subscription")).json()["total"] == 1
    await asyncio.to_thread(service.server.stop)


async def test_a_rest_hook_ends_when_its_clients_token_is_withdrawn_from_the_file(
    tmp_path: Path, nats_server: NatsServer, subscriber: SubscriberProcess
) -> None:
    tokens = {"ehr": "a-token-of-the-ehr-that-is-long", "portal": "a-token-of-the-portal-as-long"}
    file = tmp_path / "tokens"
    file.write_text("".join(f"{name} {token}\n" for name, token in tokens.items()))
    file.chmod(0o600)
    service = made(tmp_path, nats_server, subscriber, http_token_file=str(file))
    await service.provision()
    await asyncio.to_thread(service.server.start)
    ehr = Client(service, tokens["ehr"])
    one = await ehr.subscribe(endpoint=subscriber.endpoint)
    await eventually(lambda: ehr.is_active(one))
    file.write_text(f"portal {tokens['portal']}\n")
    async with mllp_peer(service.mllp) as peer:
        await peer.send(adt())
    await eventually(lambda: "subscription-of-stranger" in service.log.read_text())
    assert "event-notification" not in service.log.read_text()
    await asyncio.to_thread(service.server.stop)


async def test_no_identifier_endpoint_or_secret_is_written_to_the_log(
    service: Hl7Service, subscriber: SubscriberProcess
) -> None:
    name, patient, *_ = CANARIES
    client = Client(service)
    criteria = f"Patient?identifier={patient}"
    one = await client.subscribe(
        "patient-changed", criteria, endpoint=subscriber.endpoint, header=["X-Key: s3cret-key"]
    )
    await client.ask("POST", "Subscription", asked("patient-changed", f"Patient?name={name}"))
    async with mllp_peer(service.mllp) as peer:
        await peer.send(adt(control_id="1", pid=f"PID|1||{patient}^^^HOSP^MR||{name}^Jane"))
    await eventually(lambda: len(subscriber.events()) == 1)
    await asyncio.to_thread(subscriber.server.kill)
    async with mllp_peer(service.mllp) as peer:
        await peer.send(adt("A08", control_id="2", pid=f"PID|1||{patient}^^^HOSP^MR||{name}^Joan"))
    await eventually(lambda: "notification-failed" in service.log.read_text())
    await client.ask("GET", f"Subscription/{one['id']}/$events")
    written = service.log.read_text() + service.spans.read_text()
    for secret in (name, patient, "s3cret-key", "/hooks/causeway"):
        assert secret not in written
    assert '"subscription-events"' in written
