"""Who keeps a connection of a service's HTTP server where many want one, over real sockets."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.giving_way import MOMENT, PAUSE
from shared.http.places import RESERVE
from shared.settings import ServiceSettings
from tests.support.http_attackers import besieged
from tests.unit.shared.test_http import ROUTES, certificate, lines, serve

__all__ = ["certificate", "lines", "serve"]

ONE, SEVERAL = ["127.0.77.1"], [f"127.0.77.{number}" for number in range(1, 6)]
HEAD = b"POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
from_one_or_several = pytest.mark.parametrize("addresses", [ONE, SEVERAL], ids=["one", "several"])
#: What a siege begins with, and goes on with now and then.
SIEGES = {"silent": (b"", b""), "half a head": (b"GET /livez HTT", b"P"), "half a body": (HEAD, b"x")}


def handles() -> int:
    """Those of this process."""
    return len(os.listdir("/proc/self/fd"))


async def statuses(client: httpx.AsyncClient, seconds: float = 4) -> set[int]:
    """What probes and a request with a large body are answered, each over a connection of its own."""
    found, over = set(), time.monotonic() + seconds
    while time.monotonic() < over:
        for path in ("/livez", "/readyz"):
            found.add((await client.get(path, headers={"Connection": "close"})).status_code)
        answer = await client.post("/swallow", content=bytes(3_000_000), headers={"Connection": "close"})
        assert answer.json() == {"size": 3_000_000}
        await asyncio.sleep(0.1)
    return found


@from_one_or_several
@pytest.mark.parametrize("siege", SIEGES)
async def test_who_holds_all_connections_and_says_next_to_nothing_shuts_nobody_out(
    serve, siege: str, addresses: Sequence[str]
) -> None:
    """More of them than there are places come back as often as they are sent away."""
    client = serve(ServiceSettings(http_max_connections=40))
    begun, more = SIEGES[siege]
    before = handles()
    with besieged(client.base_url.port, 300, begun, addresses, more) as told:
        assert await statuses(client) == {200}
        # Both ends are of this process.
        assert handles() < before + 300 + 40 + RESERVE + 20
        assert told["closed"] > 0


async def test_over_tls_too(serve, certificate: tuple[Path, Path]) -> None:
    """Where none of them says enough for a handshake."""
    cert, key = certificate
    client = serve(ServiceSettings(http_max_connections=40, http_tls_cert=cert, http_tls_key=key))
    for begun in (b"", b"\x16\x03\x01\x01\xf8\x01"):
        with besieged(client.base_url.port, 300, begun, ONE):
            assert await statuses(client, 2) == {200}


async def test_nobody_is_sent_away_whose_place_is_not_needed(serve) -> None:
    client = serve(ServiceSettings(http_max_connections=1))
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(client)) for _ in range(RESERVE)]
        await asyncio.sleep(2 * MOMENT)
        assert (await client.get("/livez")).status_code == 200
        assert not any(map(is_over, silent))
        assert httpx.get(f"{client.base_url}/livez").status_code == 200
        assert list(map(is_over, silent)) == [True] + [False] * (RESERVE - 1), "the oldest"


def connected(client: httpx.AsyncClient) -> socket.socket:
    """A bare connection."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=8)


def is_over(connection: socket.socket) -> bool:
    """Whether the other side has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def body_of(client: httpx.AsyncClient, connection: socket.socket, *, pause: float, count: int) -> bytes:
    """The answer to a body that is sent in so many pieces."""
    connection.connect((client.base_url.host, client.base_url.port))
    connection.sendall(b"POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (count * 50_000))
    for _ in range(count):
        connection.sendall(bytes(50_000))
        time.sleep(pause)
    return connection.recv(1000)


async def test_who_is_at_work_is_not_sent_away_for_those_who_are_silent(serve) -> None:
    """A body that comes at a decent rate for longer than anybody else keeps a place, from the address of the others."""
    client = serve(ServiceSettings(http_max_connections=1))
    with socket.socket() as working:
        working.bind((ONE[0], 0))
        sending = asyncio.to_thread(body_of, client, working, pause=1, count=6)
        task = asyncio.create_task(sending)
        await asyncio.sleep(0.2)
        with besieged(client.base_url.port, 200, b"", ONE) as told:
            answer = await task
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"size":300000}')
        assert told["closed"] > 100


async def test_who_has_to_give_way_in_the_midst_of_a_body_hears_it_and_so_does_the_handler(serve, lines) -> None:
    heard: list[str] = []

    async def listen(request: Request) -> Response:
        while (message := await request.receive())["type"] == "http.request" and message["more_body"]:
            pass
        heard.append(message["type"])
        assert request.state.is_gone()
        return Response()

    client = serve(
        ServiceSettings(http_max_connections=100), routes=[Route("/swallow", listen, methods=["POST"]), *ROUTES]
    )
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(client)) for _ in range(100 + RESERVE)]
        for connection in slow:
            connection.sendall(HEAD)
        await asyncio.sleep(PAUSE)
        assert (await client.get("/livez")).status_code == 200
        answer = await asyncio.to_thread(slow[0].recv, 1000)
        assert answer.startswith(b"HTTP/1.1 503") and b"\r\nRetry-After: 5\r\n" in answer
        assert await asyncio.to_thread(slow[0].recv, 1000) == b""
        assert heard == ["http.disconnect"]
        assert [line["event"] for line in lines()].count("request-gave-way") == 1


async def test_who_does_not_read_what_he_asked_for_gives_way(serve) -> None:
    """Of 20 MB; the kernel holds some."""

    async def much(_request: Request) -> Response:
        return Response(bytes(20_000_000))

    client = serve(ServiceSettings(http_max_connections=1), routes=[Route("/much", much)])
    with ExitStack() as stack:
        for _ in range(1 + RESERVE):
            greedy = stack.enter_context(socket.socket())
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.connect(("127.0.0.1", client.base_url.port))
            greedy.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.get("/livez")).status_code == 200


async def test_beyond_the_number_that_may_be_at_work_only_probes_are_answered(serve) -> None:
    going = asyncio.Event()

    async def work(_request: Request) -> Response:
        await going.wait()
        return JSONResponse({})

    client = serve(ServiceSettings(http_max_connections=3), routes=[Route("/work", work)])
    busy = [asyncio.create_task(client.get("/work")) for _ in range(3)]
    await asyncio.sleep(0.5)
    refused = await client.get("/work")
    assert (refused.status_code, refused.json(), refused.headers["retry-after"]) == (503, {"reason": "busy"}, "5")
    assert (await client.get("/readyz")).status_code == 200
    going.set()
    assert [(await each).status_code for each in busy] == [200] * 3
    assert (await client.get("/work")).status_code == 200


async def test_handles_that_are_used_up_stop_the_server_only_while_they_are(serve, lines) -> None:
    client = serve()
    assert (await client.get("/livez")).status_code == 200
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as waiting:
        waiting.settimeout(8)
        try:
            # The lowest one that is free is the next that would be taken.
            os.close(free := os.dup(0))
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
            waiting.connect((client.base_url.host, client.base_url.port))
            await asyncio.sleep(0.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        waiting.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.to_thread(waiting.recv, 1000)).startswith(b"HTTP/1.1 200")
    assert {line["code"] for line in lines() if line["event"] == "connection-not-accepted"} == {"emfile"}
