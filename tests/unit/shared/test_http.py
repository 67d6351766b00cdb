"""The HTTP server of a service, asked over real sockets."""

import asyncio
import datetime
import io
import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.errors import RetryLater, Unprocessable
from shared.http import BindRefused, HttpServer, Tokens, log_access
from shared.http.patience import PromptProtocol
from shared.observability.logs import configure_logs
from shared.settings import ServiceSettings
from tests.support.instances import CANARY

TOKEN = "a-token-that-is-long-enough-0001"
REF = "0123456789abcdef" * 2


@pytest.fixture
def lines():
    """The log lines of the process; logging is put back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    configure_logs("demo", "INFO", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


async def read_study(request: Request) -> Response:
    log_access(request, "study", ref=REF, count=1)
    return JSONResponse({"study": request.path_params["study"]})


async def fail(request: Request) -> Response:
    raise LookupError(CANARY.name)


async def refuse(request: Request) -> Response:
    raise Unprocessable("not-a-query")


async def postpone(request: Request) -> Response:
    raise RetryLater("bus-away")


async def pour(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(20):
            yield bytes([number]) * 100_000

    return StreamingResponse(chunks())


async def swallow(request: Request) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return JSONResponse({"size": size})


def loop_of(seen: list[object]) -> Route:
    async def remember(request: Request) -> Response:
        seen.append(asyncio.get_running_loop())
        return Response()

    return Route("/loop", remember)


ROUTES = (
    Route("/studies/{study}", read_study),
    Route("/fail", fail),
    Route("/refuse", refuse),
    Route("/postpone", postpone),
    Route("/pour", pour),
    Route("/swallow", swallow, methods=["POST"]),
)


@pytest.fixture
async def serve():
    """Starts a server with these routes and settings; gives a client of it."""
    started: list[HttpServer] = []
    clients: list[httpx.AsyncClient] = []

    def start(settings: ServiceSettings | None = None, *, verify: object = False, **more: object) -> httpx.AsyncClient:
        chosen = settings or ServiceSettings()
        server = HttpServer(chosen, **{"routes": ROUTES, **more})
        server.start()
        started.append(server)
        scheme = "https" if chosen.http_tls_cert else "http"
        clients.append(httpx.AsyncClient(base_url=f"{scheme}://127.0.0.1:{server.port}", verify=verify, timeout=20))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
    for server in started:
        await server.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who may ask\nviewer {TOKEN}\nscraper another-token-that-is-long-0002\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    return make_certificate(tmp_path)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Another one each time, over that before."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=365)
    ).sign(key, hashes.SHA256())
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return cert_path, key_path


async def test_lives_while_its_loop_turns(serve):
    """/livez is 200 as long as the loop was heard of lately, and 503 after it fell silent."""
    silence = [0.0]
    client = serve(silence=lambda: silence[0])
    assert (await client.get("/livez")).status_code == 200
    silence[0] = 60.0
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (503, {"status": "frozen"})


async def test_a_frozen_loop_still_answers_that_it_is_frozen(serve):
    """The server answers from its own thread while the service's loop stands still."""
    beat = time.monotonic()
    client = serve(silence=lambda: (time.monotonic() - beat) * 1000)

    def probe() -> int:
        return httpx.get(f"{client.base_url}/livez", timeout=5).status_code

    probing = asyncio.get_running_loop().run_in_executor(None, probe)
    time.sleep(0.5)  # the loop is frozen: nothing of it runs meanwhile
    assert await probing == 503


async def test_is_ready_when_every_check_passes(serve):
    """/readyz names each check; one that raises makes it 503 with a code, never a text."""
    state: dict[str, Exception | None] = {"bus": None, "database": None}

    def check(name: str):
        async def asked() -> None:
            if state[name]:
                raise state[name]

        return asked

    client = serve(checks={name: check(name) for name in state})
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"bus": "ok", "database": "ok"})
    state["bus"], state["database"] = RetryLater("bus-away"), LookupError(CANARY.name)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"bus": "bus-away", "database": "LookupError"}


async def test_shows_metrics(serve):
    """/metrics is what Prometheus reads, with routes as templates."""
    client = serve()
    await client.get(f"/studies/{CANARY.patient_id}")
    text = (await client.get("/metrics")).text
    assert 'causeway_http_requests_total{route="/studies/{study}",status="200"}' in text
    assert "process_resident_memory_bytes" in text
    assert CANARY.patient_id not in text


async def test_routes_run_on_the_services_loop(serve):
    """A route may use what belongs to the service's loop."""
    seen: list[object] = []
    await serve(routes=[loop_of(seen)]).get("/loop")
    assert seen == [asyncio.get_running_loop()]


async def test_bodies_pass_both_ways(serve):
    """Large bodies arrive whole, up and down."""
    client = serve()
    assert (await client.post("/swallow", content=bytes(3_000_000))).json() == {"size": 3_000_000}
    assert (await client.get("/pour")).content == b"".join(bytes([number]) * 100_000 for number in range(20))


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [("/refuse", 422, "not-a-query"), ("/postpone", 503, "bus-away"), ("/fail", 500, "unexpected")],
)
async def test_errors_answer_with_their_code(serve, lines, path, status, reason):
    """An error of ours has its status and code; any other is 500. Neither answer nor log holds an error's text."""
    answer = await serve().get(path)
    assert (answer.status_code, answer.json()) == (status, {"reason": reason})
    assert "CANARY" not in answer.text + json.dumps(lines())


async def test_reads_are_logged_without_what_was_asked(serve, lines):
    """A request is logged by who, route and status, a read of patient data by kind and reference; no path, no query."""
    await serve().get(f"/studies/{CANARY.patient_id}?PatientName={CANARY.name}")
    logged = {line["event"]: line for line in lines()}
    request, read = logged["http-request"], logged["patient-data-read"]
    assert (request["who"], request["route"], request["http_status"]) == ("loopback", "/studies/{study}", 200)
    assert (read["who"], read["resource"], read["ref"]) == ("loopback", "study", REF)
    assert "CANARY" not in json.dumps(lines())


async def test_without_a_token_only_probes_are_answered(serve, token_file, lines):
    """With a token file, /livez and /readyz are open; everything else, unknown paths too, is 401 and logged."""
    client = serve(ServiceSettings(http_token_file=token_file))
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
    ):
        for path in ("/metrics", f"/studies/{CANARY.patient_id}", "/nowhere"):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
    denied = [line for line in lines() if line["event"] == "access-denied"]
    assert len(denied) == 12
    assert denied[0]["address"] == "127.0.0.1"
    assert "CANARY" not in json.dumps(lines())


async def test_a_token_opens_the_rest_and_names_its_holder(serve, token_file, lines):
    """Who holds a token is let in and logged by the name beside it."""
    client = serve(ServiceSettings(http_token_file=token_file))
    answer = await client.get("/studies/1", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert [line["who"] for line in lines() if line["event"] == "patient-data-read"] == ["viewer"]


async def test_tokens_are_given_and_withdrawn_without_a_restart(serve, token_file, lines):
    """The next request counts by the file as it is then; one that cannot be used leaves the tokens as they were."""
    client = serve(ServiceSettings(http_token_file=token_file))

    async def status(token: str) -> int:
        return (await client.get("/studies/1", headers={"Authorization": f"Bearer {token}"})).status_code

    later = "a-later-token-that-is-long-0003"
    assert [await status(TOKEN), await status(later)] == [200, 401]
    new = token_file.with_name("new")
    new.write_text(f"viewer {later}\n")
    new.chmod(0o600)
    new.replace(token_file)
    assert [await status(TOKEN), await status(later)] == [401, 200]
    token_file.write_text("viewer short\n")
    assert await status(later) == 200
    token_file.unlink()
    assert [await status(later), await status("short")] == [200, 401]
    said = [line["event"] for line in lines() if line.get("kind") == "tokens"]
    assert said == ["reloaded", "reload-refused", "reload-refused"]


async def test_a_token_file_that_was_refused_for_its_mode_counts_as_soon_as_that_is_mended(serve, token_file):
    """Another mode changes neither the time of writing nor the size."""
    client = serve(ServiceSettings(http_token_file=token_file))

    async def status(token: str) -> int:
        return (await client.get("/studies/1", headers={"Authorization": f"Bearer {token}"})).status_code

    later = "a-later-token-that-is-long-0003"
    new = token_file.with_name("new")
    new.write_text(f"viewer {later}\n")
    new.chmod(0o644)
    new.replace(token_file)
    assert [await status(TOKEN), await status(later)] == [200, 401]
    token_file.chmod(0o600)
    assert [await status(TOKEN), await status(later)] == [401, 200]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "pacs.example"])
async def test_does_not_leave_loopback_unprotected(host, token_file, certificate):
    """Outside loopback nothing starts without certificate, key and token file; the error names what is missing."""
    cert, key = certificate
    with pytest.raises(BindRefused, match="TLS_CERT, CAUSEWAY_HTTP_TLS_KEY, CAUSEWAY_HTTP_TOKEN_FILE"):
        HttpServer(ServiceSettings(http_host=host))
    with pytest.raises(BindRefused, match="set CAUSEWAY_HTTP_TOKEN_FILE"):
        HttpServer(ServiceSettings(http_host=host, http_tls_cert=cert, http_tls_key=key))
    with pytest.raises(BindRefused, match="set CAUSEWAY_HTTP_TLS_CERT"):
        HttpServer(ServiceSettings(http_host=host, http_token_file=token_file))


async def test_a_certificate_needs_its_key(certificate):
    """Half of TLS is no TLS, on loopback neither."""
    with pytest.raises(BindRefused, match="go together"):
        HttpServer(ServiceSettings(http_tls_cert=certificate[0]))


async def test_serves_tls_outside_loopback(serve, token_file, certificate):
    """With certificate, key and tokens it listens on every address, speaks TLS there, and asks for the token."""
    cert, key = certificate
    settings = ServiceSettings(http_host="0.0.0.0", http_tls_cert=cert, http_tls_key=key, http_token_file=token_file)
    context = ssl.create_default_context(cafile=str(cert))
    context.check_hostname = False
    client = serve(settings, verify=context)
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/studies/1")).status_code == 401
    assert (await client.get("/studies/1", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200


def shown(client: httpx.AsyncClient, tls: ssl.SSLContext) -> bytes:
    """The certificate of a new connection."""
    address = client.base_url.host, client.base_url.port
    with socket.create_connection(address, timeout=20) as plain, tls.wrap_socket(plain) as secured:
        found = secured.getpeercert(binary_form=True)
        assert found is not None
        return found


def unchecked(**bounds: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that takes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, version in bounds.items():
        setattr(context, name, version)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_renewed_certificate_is_shown_without_a_restart(
    serve, certificate, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    cert, key = certificate
    client = serve(ServiceSettings(http_tls_cert=cert, http_tls_key=key))
    tls = unchecked(minimum_version=version, maximum_version=version)

    async def look() -> bytes:
        return await asyncio.to_thread(shown, client, tls)

    def written() -> bytes:
        return ssl.PEM_cert_to_DER_cert(cert.read_text())

    first = written()
    assert await look() == first
    make_certificate(tmp_path)
    second = written()
    assert await look() == second != first
    cert.write_text("nothing")
    assert await look() == second
    make_certificate(tmp_path)
    assert await look() == written() != second
    assert (await client.get("/livez")).status_code == 200


async def test_speaks_tls_of_the_profile_alone(serve, certificate) -> None:
    cert, key = certificate
    client = serve(ServiceSettings(http_tls_cert=cert, http_tls_key=key))
    tls = unchecked(maximum_version=ssl.TLSVersion.TLSv1_2)
    tls.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(OSError, match=r"(?i)EOF|handshake|alert|reset"):
        await asyncio.to_thread(shown, client, tls)


@pytest.mark.parametrize("broken", ["cert", "key"])
async def test_a_certificate_that_cannot_be_used_is_refused_at_once(certificate, broken: str) -> None:
    cert, key = certificate
    (cert if broken == "cert" else key).write_text("nothing")
    with pytest.raises(BindRefused, match="cannot be used"):
        HttpServer(ServiceSettings(http_tls_cert=cert, http_tls_key=key))
    cert.unlink()
    with pytest.raises(BindRefused, match="No such file"):
        HttpServer(ServiceSettings(http_tls_cert=cert, http_tls_key=key))


@pytest.mark.parametrize("text", ["", "# nothing\n", "viewer short\n", "a b c\n", f"one {TOKEN}\none {TOKEN}x\n"])
def test_a_bad_token_file_is_refused(tmp_path, text):
    """No tokens, weak ones, too many words on a line and one name twice are refused before anything listens."""
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BindRefused):
        Tokens.load(path)


def test_a_token_file_is_no_public_file(token_file):
    """Tokens that everybody can read are refused."""
    token_file.chmod(0o644)
    with pytest.raises(BindRefused, match="others"):
        Tokens.load(token_file)


async def test_a_taken_port_is_an_error():
    """A second server on one port fails at once, where its maker sees it."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        HttpServer(ServiceSettings(http_port=taken.getsockname()[1]))


async def test_serve_lives_until_it_is_cancelled(free_port):
    """As a task it answers until it is cancelled, and then the port is free."""
    server = HttpServer(ServiceSettings(http_port=free_port))
    task = asyncio.create_task(server.serve())
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{free_port}/livez")).status_code == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    HttpServer(ServiceSettings(http_port=free_port))


async def test_the_second_half_of_an_answer_does_not_wait_for_an_acknowledgement():
    """What is accepted inherits TCP_NODELAY, which asyncio sets for sockets of its own making only."""
    server = HttpServer(ServiceSettings())
    with socket.create_connection(("127.0.0.1", server.port)), server._socket.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await server.stop()


@pytest.mark.parametrize("before", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHost: x"])
async def test_who_does_not_finish_the_head_of_a_request_is_let_go(
    serve, monkeypatch: pytest.MonkeyPatch, before: bytes, said: bytes
) -> None:
    """At the first request or after others."""
    monkeypatch.setattr(PromptProtocol, "patience", 0.3)
    client = serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    if before:
        writer.write(before)
        await reader.readuntil(b"}")
    writer.write(said)
    await asyncio.wait_for(reader.read(), 8)
    writer.close()


async def test_bodies_and_answers_may_take_longer_than_heads(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptProtocol, "patience", 0.2)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0.1)
            yield b"piece"

    client = serve()
    for _ in range(2):
        assert (await client.post("/swallow", content=body())).json() == {"size": 25}
        await asyncio.sleep(0.5)


async def test_who_opens_all_connections_and_says_nothing_shuts_nobody_out_for_long(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PromptProtocol, "patience", 1.0)
    client = serve()
    silent = [await asyncio.open_connection("127.0.0.1", client.base_url.port) for _ in range(300)]
    await asyncio.sleep(2)
    assert (await client.get("/livez")).status_code == 200
    for _reader, writer in silent:
        writer.close()


class Raw(asyncio.Protocol):
    """In the place of a websocket: answers whatever it hears."""

    def __init__(self, **_: object) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(b"pong")


async def test_a_websocket_may_be_silent_for_longer_than_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptProtocol, "patience", 0.2)
    server = HttpServer(ServiceSettings())
    server._server.config.ws = Raw
    server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert await reader.readexactly(4) == b"pong"
    await asyncio.sleep(0.6)
    writer.write(b"ping")
    assert await asyncio.wait_for(reader.read(4), 8) == b"pong"
    writer.close()
    await server.stop()
