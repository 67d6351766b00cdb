"""Receivers as they are: other people's servers, hostile ones, slow ones, and TLS; one of them is never all of them."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import hl7  # type: ignore[import-untyped]  # python-hl7 tells no types
import pytest
from hl7.mllp import start_hl7_server  # type: ignore[import-untyped]  # python-hl7 tells no types
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPServer

from services.hl7_fhir.adapters import mllp_client
from services.hl7_fhir.adapters.mllp import MllpServer, Port
from services.hl7_fhir.domain.intake.senders import Origin
from tests.integration.hl7_fhir.test_outgoing import feed
from tests.support.certificates import Authority
from tests.support.hl7 import END, START, adt, mllp_peer, orm
from tests.support.ports import free_ports
from tests.support.receivers import (
    Behaviour,
    accept,
    acknowledgement,
    framed,
    receivers_yaml,
    receiving,
    without_repeats,
)
from tests.support.sending import Post, posting


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def post(stack: AsyncExitStack, folder: Path, **named: Any) -> Post:
    path = receivers_yaml(folder / "r.yaml", **named)
    return await stack.enter_async_context(posting(f"sqlite:///{folder / 'x.db'}", path))


async def test_python_hl7s_server_gets_what_came(stack: AsyncExitStack, tmp_path: Path) -> None:
    got: list[str] = []

    async def serve(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        while not writer.is_closing():
            message = await reader.readmessage()
            got.append(str(message))
            writer.writemessage(message.create_ack())
            await writer.drain()

    port = free_ports(1)[0]
    server = await stack.enter_async_context(
        await start_hl7_server(serve, host="127.0.0.1", port=port, encoding="utf-8")
    )
    desk = await post(stack, tmp_path, theirs=port)
    sent = feed(6)
    await desk.send(*sent)
    await desk.until("theirs", waiting=0, delivered=6)
    assert got == [str(hl7.parse(message.decode())) for message in sent]
    server.close()


async def test_hl7apys_server_gets_what_came(stack: AsyncExitStack, tmp_path: Path) -> None:
    got: list[str] = []

    class Take(AbstractHandler):
        def reply(self) -> str:
            got.append(self.incoming_message)
            return framed(acknowledgement(self.incoming_message.encode())).decode()

    class Wrong(AbstractErrorHandler):
        def reply(self) -> str:
            raise self.exc

    port = free_ports(1)[0]
    server = MLLPServer("127.0.0.1", port, {"ADT^A08": (Take,), "ORM^O01": (Take,), "ERR": (Wrong,)})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    desk = await post(stack, tmp_path, theirs=(port, "keep_open: false"))
    sent = [message.replace("ë".encode(), b"e") for message in feed(6)]
    await desk.send(*sent)
    await desk.until("theirs", waiting=0, delivered=6)
    assert [text.encode() for text in got] == sent
    await asyncio.to_thread(server.shutdown)
    server.server_close()


async def _close(*_: Any) -> None:
    return None


async def _garbage(*_: Any) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100 + END


async def _no_acknowledgement(message: bytes, *_: Any) -> bytes:
    return framed(message)


async def _wrong_id(message: bytes, *_: Any) -> bytes:
    return framed(acknowledgement(message, answers=b"ANOTHER"))


async def _empty_id(message: bytes, *_: Any) -> bytes:
    return framed(acknowledgement(message, answers=b""))


async def _unknown_code(message: bytes, *_: Any) -> bytes:
    return framed(acknowledgement(message, "OK"))


async def _half(message: bytes, _: int, writer: asyncio.StreamWriter) -> None:
    writer.write(framed(acknowledgement(message))[:-9])
    await writer.drain()


async def _half_and_silence(message: bytes, _: int, writer: asyncio.StreamWriter) -> bytes:
    writer.write(framed(acknowledgement(message))[:-1])
    await asyncio.sleep(3600)
    return b""


async def _endless(_: bytes, __: int, writer: asyncio.StreamWriter) -> None:
    writer.write(START)
    for _number in range(10_000):
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _drip(message: bytes, _: int, writer: asyncio.StreamWriter) -> None:
    for byte in framed(acknowledgement(message)) * 100:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def _silence(*_: Any) -> bytes:
    await asyncio.sleep(3600)
    return b""


HOSTILE: dict[str, list[Behaviour]] = {
    "connection-lost": [_close, _half],
    "no-mllp": [_garbage],
    "no-acknowledgement": [_no_acknowledgement, _unknown_code],
    "answer-to-another": [_wrong_id, _empty_id],
    "answer-too-large": [_endless],
    "no-answer": [_drip, _silence, _half_and_silence],
}


@pytest.mark.parametrize(("reason", "behaves"), [(why, each) for why, those in HOSTILE.items() for each in those])
async def test_a_hostile_receiver_holds_up_nobody_and_loses_nothing(
    reason: str, behaves: Behaviour, stack: AsyncExitStack, tmp_path: Path
) -> None:
    hostile, honest = await stack.enter_async_context(receiving(behaves)), await stack.enter_async_context(receiving())
    desk = await post(stack, tmp_path, hostile=(hostile.port, "answer_timeout: 500ms"), honest=honest.port)
    sent = feed(4)
    assert await desk.send(*sent) == ["AA"] * 4
    await desk.until("honest", waiting=0, delivered=4)
    assert honest.got == sent
    await desk.until("hostile", away=reason, waiting=4, delivered=0)
    hostile.behaves = accept
    await desk.until("hostile", waiting=0, delivered=4, away=None)
    assert without_repeats(hostile.got) == sent


async def test_late_answers_to_earlier_messages_are_passed_over(stack: AsyncExitStack, tmp_path: Path) -> None:
    """Enhanced mode (chapter 2, section 2.9.3): the first answer counts, the application's comes late."""
    before: list[bytes] = []

    async def behave(message: bytes, *_: Any) -> bytes:
        late = [framed(acknowledgement(each, "AE")) for each in before]
        before.append(message)
        return b"".join(late) + framed(acknowledgement(message, "CA"))

    receiver = await stack.enter_async_context(receiving(behave))
    desk = await post(stack, tmp_path, pacs=receiver.port)
    sent = feed(5)
    await desk.send(*sent)
    await desk.until("pacs", waiting=0, delivered=5, aside=0)
    assert receiver.got == sent


async def test_a_receiver_may_hang_up_after_each_answer(stack: AsyncExitStack, tmp_path: Path) -> None:
    async def behave(message: bytes, _: int, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(acknowledgement(message)))
        await writer.drain()

    receiver = await stack.enter_async_context(receiving(behave))
    desk = await post(stack, tmp_path, pacs=(receiver.port, "keep_open: false"))
    sent = feed(5)
    await desk.send(*sent)
    await desk.until("pacs", waiting=0, delivered=5)
    assert receiver.got == sent


async def test_receivers_that_are_silent_do_not_hold_up_the_mllp_server(stack: AsyncExitStack, tmp_path: Path) -> None:
    silent = [await stack.enter_async_context(receiving(_silence)) for _ in range(5)]
    desk = await post(stack, tmp_path, **{f"s{n}": each.port for n, each in enumerate(silent)})

    async def answer(message: bytes, _: Origin) -> tuple[bytes, ...]:
        return (acknowledgement(message, (await desk.send(message))[0]),)

    server = MllpServer(ports=(Port("127.0.0.1", 0),), answer=answer, refuse=answer)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    async with mllp_peer(server.port) as peer:
        for message in feed(50):
            assert b"|AA|" in await peer.send(message)
    assert (await desk.standing("s4"))["waiting"] == 50
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_large_message_goes_on_whole(stack: AsyncExitStack, tmp_path: Path) -> None:
    receiver = await stack.enter_async_context(receiving())
    desk = await post(stack, tmp_path, pacs=receiver.port)
    large = adt(control_id="M1") + b"OBX|1|ED|||" + b"A" * 4_000_000 + b"\r"
    sent = [large, orm(control_id="M2")]
    await desk.send(*sent)
    await desk.until("pacs", waiting=0, delivered=2)
    assert receiver.got == sent


@asynccontextmanager
async def secured(folder: Path, authority: Authority, **more: Any) -> AsyncIterator[Any]:
    """A receiver that asks for a certificate of ``authority``."""
    mine = authority.issue("ris.test", file="server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mine.certificate, mine.key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    async with receiving(tls=context, **more) as receiver:
        yield receiver


def tls_lines(authority: Path, certificate: Path, key: Path, name: str = "ris.test") -> str:
    return f"tls: {{ca: {authority}, certificate: {certificate}, key: {key}, server_name: {name}}}"


async def test_with_tls_both_sides_prove_who_they_are(stack: AsyncExitStack, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    receiver = await stack.enter_async_context(secured(tmp_path, authority))
    ours, theirs = authority.issue("causeway.test"), stranger.issue("causeway.test", file="stranger-client")
    lines = {
        "right": tls_lines(authority.path, ours.certificate, ours.key),
        "wrong-name": tls_lines(authority.path, ours.certificate, ours.key, "other.test"),
        "wrong-authority": tls_lines(stranger.path, ours.certificate, ours.key),
        "wrong-client": tls_lines(authority.path, theirs.certificate, theirs.key),
        "no-files": tls_lines(authority.path, tmp_path / "none", tmp_path / "none"),
        "no-tls": "",
    }
    desk = await post(
        stack,
        tmp_path,
        **{name: (receiver.port, f"{told}\nanswer_timeout: 1s".strip()) for name, told in lines.items()},
    )
    sent = feed(3)
    await desk.send(*sent)
    await desk.until("right", waiting=0, delivered=3)
    for name in ("wrong-name", "wrong-authority"):
        await desk.until(name, away="tls-refused", waiting=3)
    await until_refused(desk, "wrong-client")
    await desk.until("no-files", away="tls-files-unusable", waiting=3)
    assert (await desk.standing("no-tls"))["delivered"] == 0
    assert receiver.got == sent


async def until_refused(desk: Post, name: str) -> None:
    """With TLS 1.3 a client hears after its handshake that its certificate is refused, or only that it is cut off."""
    async with asyncio.timeout(30):
        while (await desk.standing(name))["away"] not in ("tls-refused", "connection-lost"):
            await asyncio.sleep(0.02)


async def test_new_certificates_hold_from_the_next_connection_on(stack: AsyncExitStack, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    receiver = await stack.enter_async_context(secured(tmp_path, authority))
    ours = stranger.issue("causeway.test", file="ours")
    lines = tls_lines(authority.path, ours.certificate, ours.key)
    desk = await post(stack, tmp_path, pacs=(receiver.port, lines))
    await desk.send(*feed(2))
    await until_refused(desk, "pacs")
    authority.issue("causeway.test", file="ours")
    await desk.until("pacs", waiting=0, delivered=2)


def test_a_client_takes_no_old_tls(tmp_path: Path) -> None:
    context = mllp_client.client_context(mllp_client.Tls(ca=Authority(tmp_path).path))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
