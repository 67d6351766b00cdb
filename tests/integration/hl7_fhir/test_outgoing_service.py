"""The service as a process: whatever kills it, every receiver has every message, in order, and a repeat is the same."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.integration.cli.conftest import folder_of
from tests.support.hl7 import CANARIES, adt, code_of, mllp_peer, orm
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.receivers import (
    Receiver,
    acknowledgement,
    framed,
    receivers_yaml,
    receiving,
    without_repeats,
)


@asynccontextmanager
async def serving(folder: Path, nats: NatsServer, receivers: Path, **settings: str) -> AsyncIterator[Hl7Service]:
    service = Hl7Service(folder, nats, receivers_file=str(receivers), **settings)
    await service.provision()
    await asyncio.to_thread(service.server.start)
    try:
        yield service
    finally:
        await asyncio.to_thread(service.server.stop)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def send(service: Hl7Service, *contents: bytes) -> list[str]:
    async with mllp_peer(service.mllp) as peer:
        return [code_of(await peer.send(content)) for content in contents]


async def asked(service: Hl7Service, path: str = "", **body: Any) -> httpx.Response:
    """GET without a path or for messages, POST otherwise."""
    url = f"{service.http}/api/receivers{path}"
    async with httpx.AsyncClient() as client:
        if not path or path.endswith("/messages"):
            return await client.get(url)
        return await client.post(url, json=body)


async def rows(service: Hl7Service) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await asked(service)).json()["receivers"]}


async def until(service: Hl7Service, name: str, **wanted: Any) -> None:
    async with asyncio.timeout(40):
        while not wanted.items() <= (await rows(service))[name].items():
            await asyncio.sleep(0.05)


async def test_an_operator_sees_holds_mends_and_discards(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer
) -> None:
    async def behave(message: bytes, *_: Any) -> bytes:
        return framed(acknowledgement(message, "AE" if b"|BAD" in message else "AA"))

    receiver = await stack.enter_async_context(receiving(behave))
    path = receivers_yaml(tmp_path / "receivers.yaml", ris=receiver.port, away=1)
    service = await stack.enter_async_context(serving(tmp_path, nats_server, path))
    assert list(await rows(service)) == ["ris", "away"]
    assert (await asked(service, "/ris/hold")).json() == {"held": True}
    canary = f"PID|1||{CANARIES[1]}^^^H||{CANARIES[0]}^X||{CANARIES[2]}"
    sent = [adt(control_id="1", pid=canary), orm(control_id="BAD1"), orm(control_id="BAD2", orc2=CANARIES[4])]
    assert await send(service, *sent) == ["AA"] * 3
    held = (await rows(service))["ris"]
    assert (held["held"], held["waiting"], held["named"]) == (True, 3, True)
    assert receiver.got == []
    await asked(service, "/ris/release")
    await until(service, "ris", waiting=0, aside=2, delivered=1)
    aside = (await asked(service, "/ris/messages")).json()["messages"]
    assert [one["reason"] for one in aside] == ["answered-ae"] * 2
    assert (await asked(service, "/ris/retry", number=aside[0]["number"])).json() == {"messages": 1}
    await until(service, "ris", waiting=0, aside=2)
    assert (await asked(service, "/ris/discard", number=aside[0]["number"])).json() == {"messages": 1}
    assert (await asked(service, "/ris/discard")).json() == {"messages": 1}
    assert (await asked(service, "/away/discard", everything=True)).json() == {"messages": 3}
    assert receiver.got == [sent[0], sent[1], sent[2], sent[1]]
    log = service.log.read_text()
    assert "hl7-message-set-aside" in log
    assert [word for word in CANARIES if word in log] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/nobody/hold", {}, 404),
        ("/nobody/retry", {}, 404),
        ("/nobody/messages", {}, 404),
        ("/ris/retry", {"number": "all"}, 400),
        ("/ris/discard", {"number": -1}, 400),
        ("/ris/discard", {"number": True}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(
    path: str, body: dict[str, Any], status: int, stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer
) -> None:
    named = receivers_yaml(tmp_path / "receivers.yaml", ris=1)
    service = await stack.enter_async_context(serving(tmp_path, nats_server, named))
    assert (await asked(service, path, **body)).status_code == status


async def test_the_backlog_is_a_metric(stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer) -> None:
    named = receivers_yaml(tmp_path / "receivers.yaml", away=1)
    service = await stack.enter_async_context(serving(tmp_path, nats_server, named))
    await send(service, adt())
    async with asyncio.timeout(40), httpx.AsyncClient() as client:
        while True:
            text = (await client.get(f"{service.http}/metrics")).text
            if 'causeway_hl7_outgoing_waiting{target="away"} 1.0' in text:
                break
            await asyncio.sleep(0.2)
    assert 'causeway_circuit_open{target="away"} 1.0' in text


async def test_the_command_shows_and_decides(stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer) -> None:
    async def refuse(message: bytes, *_: Any) -> bytes:
        return framed(acknowledgement(message, "AE"))

    receiver = await stack.enter_async_context(receiving(refuse))
    named = receivers_yaml(tmp_path / "receivers.yaml", ris=receiver.port, gone=(1, "held: true"))
    service = await stack.enter_async_context(serving(tmp_path, nats_server, named))
    site = folder_of(tmp_path / "site", nats_server.url, service.http)

    async def causeway(*words: str) -> str:
        told = await asyncio.to_thread(
            CliRunner().invoke, app, ["hl7", "receivers", *words, "--data", str(site.data), "--json"]
        )
        assert told.exit_code == 0, told.output
        return str(told.stdout)

    await send(service, adt(control_id="1"), adt(control_id="2"))
    await until(service, "ris", aside=2)
    receivers_yaml(named, ris=receiver.port)
    listed = {one["name"]: one for one in json.loads(await causeway("list"))}
    assert (listed["ris"]["aside"], listed["gone"]["waiting"], listed["gone"]["named"]) == (2, 2, False)
    number = str(json.loads(await causeway("messages", "ris"))[0]["number"])
    assert json.loads(await causeway("discard", "ris", "--number", number)) == {"messages": 1}
    assert json.loads(await causeway("hold", "ris")) == {"held": True}
    assert json.loads(await causeway("retry", "ris")) == {"messages": 1}
    assert json.loads(await causeway("release", "ris")) == {"held": False}
    assert json.loads(await causeway("discard", "gone", "--everything")) == {"messages": 2}
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["hl7", "receivers", "list", "--data", str(site.data)])
    assert "ris" in shown.output
    assert "gone" not in shown.output


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_whenever_it_is_killed_nothing_is_lost_or_out_of_order(
    kind: str, stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, request: pytest.FixtureRequest
) -> None:
    dice = random.Random(7)
    quick = await stack.enter_async_context(receiving())
    slow = await stack.enter_async_context(receiving(_slow))
    times = "connect_timeout: 500ms\nanswer_timeout: 500ms"
    path = receivers_yaml(tmp_path / "receivers.yaml", quick=(quick.port, times), slow=(slow.port, times))
    more = {"database_url": request.getfixturevalue("postgres")} if kind == "postgresql" else {}
    service = await stack.enter_async_context(serving(tmp_path, nats_server, path, **more))
    sent: list[bytes] = []
    for round_ in range(6 if kind == "sqlite" else 3):
        batch = [adt("A08", control_id=f"M{round_}-{n}", pid=f"PID|1||P{n}^^^H||Zoë{round_}") for n in range(40)]
        feeding = asyncio.create_task(_feed(service, batch))
        await asyncio.sleep(dice.uniform(0.1, 0.8))
        await asyncio.to_thread(service.server.kill)
        await asyncio.to_thread(service.server.start)
        await feeding
        sent += batch
    for receiver in (quick, slow):
        await _complete(receiver, sent[-1])
    await until(service, "quick", waiting=0)
    await until(service, "slow", waiting=0)
    for receiver in (quick, slow):
        assert without_repeats(receiver.got) == sent


async def _slow(message: bytes, number: int, _: asyncio.StreamWriter) -> bytes:
    await asyncio.sleep(0.02 if number % 3 else 0.0)
    return framed(acknowledgement(message))


async def _feed(service: Hl7Service, batch: list[bytes]) -> None:
    """Send each message until it has its AA, as a RIS does."""
    waiting = list(batch)
    async with asyncio.timeout(90):
        while waiting:
            try:
                async with mllp_peer(service.mllp) as peer:
                    while waiting and code_of(await peer.send(waiting[0])) == "AA":
                        waiting.pop(0)
            except (OSError, AssertionError):
                await asyncio.sleep(0.1)


async def _complete(receiver: Receiver, last: bytes) -> None:
    async with asyncio.timeout(60):
        while not receiver.got or receiver.got[-1] != last:
            await asyncio.sleep(0.05)
