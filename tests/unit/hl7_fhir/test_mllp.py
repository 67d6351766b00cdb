"""MLLP: frames in, one answer each; what is slow, endless or no frame costs a bounded time and harms nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from services.hl7_fhir.adapters.mllp import Limits, MllpServer, Port
from services.hl7_fhir.domain.intake.senders import Origin
from shared.errors import RetryLater
from tests.support.hl7 import END, START, Peer, mllp_peer

SMALL = Limits(frame=100_000, between=64, large=10_000, large_at_once=1, connections=3, idle=5, message=0.3, answer=2)


PORTS = (Port("127.0.0.1", 0),)


class Desk:
    """Answers with the message itself; ``hold`` makes it wait first."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.origins: list[Origin] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def answer(self, content: bytes, origin: Origin) -> tuple[bytes, ...]:
        self.taken.append(content)
        self.origins.append(origin)
        await self.go_on.wait()
        return () if content == b"SILENCE" else (b"answer to " + content[:20],)

    async def refuse(self, head: bytes, _: Origin) -> tuple[bytes, ...]:
        return (b"too large: " + head[:3],)


@asynccontextmanager
async def serving(desk: Desk, limits: Limits = SMALL) -> AsyncIterator[MllpServer]:
    server = MllpServer(ports=PORTS, answer=desk.answer, refuse=desk.refuse, limits=limits)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def server(desk: Desk) -> AsyncIterator[MllpServer]:
    async with serving(desk) as found:
        yield found


@pytest.fixture
async def peer(server: MllpServer) -> AsyncIterator[Peer]:
    async with mllp_peer(server.port) as found:
        yield found


async def test_many_messages_go_over_one_connection(peer: Peer) -> None:
    for number in range(3):
        assert await peer.send(b"MSH %d" % number) == b"answer to MSH %d" % number


async def test_messages_that_arrive_together_are_answered_in_their_order(peer: Peer) -> None:
    await peer.write(b"".join(START + b"MSH %d" % number + END for number in range(3)))
    assert [await peer.answer() for _ in range(3)] == [b"answer to MSH %d" % number for number in range(3)]


async def test_a_frame_may_arrive_byte_by_byte(peer: Peer) -> None:
    for byte in START + b"MSH" + END:
        await peer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert await peer.answer() == b"answer to MSH"


async def test_line_ends_between_frames_are_ignored(peer: Peer) -> None:
    await peer.write(b"\r\n" + START + b"A" + END + b"\r\n")
    assert await peer.answer() == b"answer to A"
    assert await peer.send(b"B") == b"answer to B"


async def test_a_file_separator_without_carriage_return_does_not_end_a_message(peer: Peer, desk: Desk) -> None:
    assert await peer.send(b"MSH\x1cmore") == b"answer to MSH\x1cmore"
    assert desk.taken == [b"MSH\x1cmore"]


async def test_a_frame_that_does_not_end_in_time_is_dropped_without_an_answer(peer: Peer, desk: Desk) -> None:
    await peer.write(START + b"MSH and nothing more")
    assert await peer.answer() == b""
    assert desk.taken == []


async def test_a_frame_that_ends_with_the_connection_is_no_message(server: MllpServer, desk: Desk) -> None:
    async with mllp_peer(server.port) as peer:
        await peer.write(START + b"MSH half")
    async with mllp_peer(server.port) as other:
        await other.send(b"B")
    assert desk.taken == [b"B"]


async def test_an_oversize_frame_is_refused_by_its_head_and_hung_up_on(peer: Peer, desk: Desk) -> None:
    await peer.write(START + b"MSH" + b"x" * SMALL.frame)
    assert await peer.answer() == b"too large: MSH"
    assert await peer.answer() == b""
    assert desk.taken == []


async def test_garbage_without_a_frame_is_hung_up_on(peer: Peer) -> None:
    await peer.write(b"GET / HTTP/1.1\r\n" * 20)
    assert await peer.answer() == b""


async def test_one_slow_peer_holds_up_no_other(server: MllpServer) -> None:
    async with mllp_peer(server.port) as slow, mllp_peer(server.port) as quick:
        await slow.write(START + b"x" * (SMALL.large + 1))
        assert await quick.send(b"A") == b"answer to A"


async def test_large_frames_take_turns(server: MllpServer, desk: Desk) -> None:
    large = b"x" * (SMALL.large + 1)
    async with mllp_peer(server.port) as first, mllp_peer(server.port) as second:
        answers = await asyncio.gather(first.send(large), second.send(large))
    assert answers == [b"answer to " + large[:20]] * 2


async def test_connections_above_the_limit_are_closed_and_places_become_free(server: MllpServer) -> None:
    async with mllp_peer(server.port) as one, mllp_peer(server.port) as two, mllp_peer(server.port) as three:
        assert [await peer.send(b"A") for peer in (one, two, three)] == [b"answer to A"] * 3
        async with mllp_peer(server.port) as four:
            assert await four.answer() == b""
    for _ in range(200):
        async with mllp_peer(server.port) as five:
            await five.write(START + b"A" + END)
            if await five.answer():
                return
    pytest.fail("no place became free")


async def test_a_message_in_work_is_answered_before_the_server_stops(desk: Desk) -> None:
    desk.go_on.clear()
    server = MllpServer(ports=PORTS, answer=desk.answer, refuse=desk.refuse, limits=SMALL)
    serving_ = asyncio.create_task(server.run())
    await server.listening.wait()
    async with mllp_peer(server.port) as peer, mllp_peer(server.port) as idle:
        await peer.write(START + b"A" + END)
        while not desk.taken:
            await asyncio.sleep(0.01)
        serving_.cancel()
        assert await idle.answer() == b""
        desk.go_on.set()
        assert await peer.answer() == b"answer to A"
        assert await peer.answer() == b""
    await asyncio.gather(serving_, return_exceptions=True)


async def test_it_is_ready_only_while_it_listens(desk: Desk) -> None:
    server = MllpServer(ports=PORTS, answer=desk.answer, refuse=desk.refuse)
    with pytest.raises(RetryLater):
        await server.check()
    async with serving(desk) as listening:
        await listening.check()
    with pytest.raises(RetryLater):
        await listening.check()


async def test_a_message_without_an_answer_is_followed_by_the_next(peer: Peer) -> None:
    await peer.write(START + b"SILENCE" + END + START + b"A" + END)
    assert await peer.answer() == b"answer to A"


async def test_what_was_said_before_hanging_up_is_answered(server: MllpServer, desk: Desk) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(START + b"A" + END + START + b"B" + END)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 20) == START + b"answer to A" + END + START + b"answer to B" + END
    assert desk.taken == [b"A", b"B"]
    writer.close()


async def test_a_silent_connection_is_closed_after_its_time(desk: Desk) -> None:
    limits = replace(SMALL, idle=0.2)
    async with serving(desk, limits) as server, mllp_peer(server.port) as peer:
        assert await peer.send(b"A") == b"answer to A"
        assert await peer.answer() == b""


async def test_a_peer_that_reads_no_answers_is_dropped(desk: Desk) -> None:
    limits = replace(SMALL, answer=0.3, connections=1)
    async with serving(desk, limits) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.transport.pause_reading()
        with suppress(ConnectionError):
            for _ in range(400):
                writer.write((START + b"A" * 20 + END) * 1000)
                await asyncio.wait_for(writer.drain(), 20)
        assert writer.transport.is_closing() or reader.at_eof() or len(desk.taken) < 400_000
        writer.close()


async def test_the_address_of_the_peer_is_told(peer: Peer, desk: Desk) -> None:
    await peer.send(b"A")
    assert desk.origins == [Origin("127.0.0.1", "")]
