"""MLLP over TLS beside the plain port: mutual, certificates read again, and slow handshakes that harm nobody."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.hl7_fhir.adapters.listening import mllp_server
from services.hl7_fhir.adapters.mllp import MllpServer
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.intake.senders import Origin
from tests.support.certificates import Authority, Issued
from tests.support.hl7 import END, START


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def serving(authority: Authority, own: Issued, **settings: object) -> AsyncIterator[MllpServer]:
    async def answer(_: bytes, origin: Origin) -> tuple[bytes, ...]:
        return (origin.certificate.encode() or b"none",)

    said = {"mllp_port": 0, "mllp_tls_port": 0, "mllp_tls_cert": own.certificate, "mllp_tls_key": own.key, **settings}
    server = mllp_server(Settings.model_validate({"mllp_tls_client_ca": authority.path, **said}), answer, answer)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def client(authority: Authority, shown: Issued | None = None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.path)
    if shown:
        context.load_cert_chain(shown.certificate, shown.key)
    if most:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = most
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def ask(port: int, context: ssl.SSLContext | None) -> bytes:
    """The answer to one message; empty when there was none."""
    name = "localhost" if context else None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.write(START + b"MSH|" + END)
        told = await asyncio.wait_for(reader.readuntil(END), 20)
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return b""
    return told[1:-2]


async def test_a_client_with_a_certificate_is_served_and_known_by_it(authority: Authority) -> None:
    shown = authority.issue("ris")
    async with serving(authority, authority.issue("localhost")) as server:
        assert await ask(server.ports[1], client(authority, shown)) == shown.sha256.encode()
        assert await ask(server.ports[0], None) == b"none"


async def test_a_client_without_a_certificate_or_with_a_strange_one_is_not(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "strange").mkdir()
    stranger = Authority(tmp_path / "strange", "stranger")
    async with serving(authority, authority.issue("localhost")) as server:
        assert await ask(server.ports[1], client(authority)) == b""
        assert await ask(server.ports[1], client(authority, stranger.issue("ris"))) == b""
        assert await ask(server.ports[1], client(authority, authority.issue("ris"), most=ssl.TLSVersion.TLSv1_1)) == b""
        assert await ask(server.ports[0], None) == b"none"


async def test_new_certificates_are_for_those_who_connect_from_then_on(authority: Authority, tmp_path: Path) -> None:
    own, shown = authority.issue("localhost"), authority.issue("ris")
    (tmp_path / "next").mkdir()
    following = Authority(tmp_path / "next", "next")
    async with serving(authority, own) as server:
        context = client(authority, shown)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.ports[1], ssl=context, server_hostname="localhost"
        )
        new = following.issue("localhost")
        own.key.write_bytes(new.key.read_bytes())
        own.certificate.write_bytes(new.certificate.read_bytes())
        for _ in range(200):
            if await ask(server.ports[1], client(following, shown)):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the new certificate was never shown")
        writer.write(START + b"MSH|" + END)
        assert await asyncio.wait_for(reader.readuntil(END), 20) == START + shown.sha256.encode() + END
        writer.close()


async def test_handshakes_that_never_end_keep_nobody_out(authority: Authority) -> None:
    async with serving(authority, authority.issue("localhost"), mllp_connections=4) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.ports[1]) for _ in range(20)]
        assert await ask(server.ports[1], client(authority, authority.issue("ris")))
        assert await ask(server.ports[0], None) == b"none"
        for _, writer in silent:
            writer.close()


async def test_no_more_handshakes_wait_than_connections_may_be_open_and_the_oldest_gives_way(
    authority: Authority,
) -> None:
    async with serving(authority, authority.issue("localhost"), mllp_connections=4) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.ports[1]) for _ in range(7)]
        for reader, _ in silent[:3]:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for reader, _ in silent[3:]:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.1)
        for _, writer in silent:
            writer.close()


async def test_a_server_that_ends_hangs_up_on_those_whose_handshake_has_not_ended(authority: Authority) -> None:
    async with serving(authority, authority.issue("localhost")) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[1])
        await asyncio.sleep(0.1)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", server.ports[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"mllp_tls_port": 0},
        {"mllp_tls_port": 0, "mllp_tls_cert": "x.crt", "mllp_tls_key": "x.key"},
    ],
)
def test_tls_that_would_not_be_mutual_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="CAUSEWAY_MLLP_TLS"):
        Settings.model_validate(settings)
