"""An embedded site with several receivers: their ports, their settings, and the router before them."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from cli.embedded import router
from cli.embedded.ports import MOST_RECEIVERS, SERVICES, Ports
from cli.embedded.prepare import prepare
from cli.embedded.services import environment, services
from cli.site import Site
from services.deid.adapters.profiles import FileProfiles
from services.deid.domain.profile import BASIC_PROFILE
from services.dicom_ingest.config import Settings


@pytest.mark.parametrize("base", [None, 20000])
def test_every_receiver_has_a_port_that_nobody_else_has(base: int | None) -> None:
    ports = Ports.from_base(base, MOST_RECEIVERS)
    assert ports.receivers == MOST_RECEIVERS
    assert max(Counter(ports.all()).values()) == 1
    assert {*ports.services} - {*SERVICES} == {f"dicom_ingest-{n}" for n in range(2, MOST_RECEIVERS + 1)}
    assert base is None or max(ports.all()) < base + 40


@pytest.mark.parametrize("receivers", [0, MOST_RECEIVERS + 1])
def test_more_receivers_than_there_are_ports_for_are_refused(receivers: int) -> None:
    with pytest.raises(ValueError, match="--dicom-processes must lie between 1 and"):
        Ports.from_base(None, receivers)


def test_receivers_share_port_and_spool_and_nothing_that_two_cannot_write(tmp_path: Path) -> None:
    ports = Ports.from_base(20000, 2)
    first, second = (environment(Site(tmp_path), ports, name) for name in ("dicom_ingest", "dicom_ingest-2"))
    assert {name for name in first if first[name] != second[name]} == {
        "CAUSEWAY_HTTP_PORT",
        "CAUSEWAY_TRACE_FILE",
    }
    assert first["CAUSEWAY_DICOM_SHARED_PORT"] == "True"
    assert environment(Site(tmp_path), Ports.from_base(20000), "dicom_ingest")["CAUSEWAY_DICOM_SHARED_PORT"] == "False"


def test_receivers_leave_room_for_what_waits_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = Settings.model_fields["disk_factor"].default

    def factor(receivers: int) -> str | None:
        return environment(Site(tmp_path), Ports.from_base(20000, receivers), "dicom_ingest").get(name)

    name = "CAUSEWAY_DISK_FACTOR"
    monkeypatch.delenv(name, raising=False)
    assert (factor(1), factor(3)) == (None, str(3 * default))
    monkeypatch.setenv(name, "1.5")
    assert (factor(1), factor(3)) == (None, "4.5")


def test_who_sends_hl7_is_the_sites_to_say_and_stays(tmp_path: Path) -> None:
    site, ports = Site(tmp_path), Ports.from_base(20000)
    prepare(site, ports)
    assert environment(site, ports, "hl7_fhir")["CAUSEWAY_SENDERS_FILE"] == str(site.senders.resolve())
    assert "senders: []" in site.senders.read_text()
    site.senders.write_text("unknown: reject\nsenders: []\n")
    prepare(site, ports)
    assert site.senders.read_text().startswith("unknown: reject")


def test_a_new_site_has_the_recommended_profile_and_an_older_one_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the research project of the policy that ships with it; another folder of profiles may be named."""
    site, ports = Site(tmp_path), Ports.from_base(20000)
    prepare(site, ports)
    folder = Path(environment(site, ports, "deid")["CAUSEWAY_PROFILE_DIR"])
    assert FileProfiles(folder).of("research").name == "research"
    shipped = Path(__file__).parents[3] / "examples/profiles/research.yaml"
    assert (folder / "research.yaml").read_text() == shipped.read_text()
    (folder / "research.yaml").unlink()
    prepare(site, ports)
    assert FileProfiles(folder).of("research") == BASIC_PROFILE
    monkeypatch.setenv("CAUSEWAY_PROFILE_DIR", str(tmp_path))
    assert environment(site, ports, "deid")["CAUSEWAY_PROFILE_DIR"] == str(tmp_path)


def test_every_process_runs_its_service(tmp_path: Path) -> None:
    ran = {one.name: one.command[-1] for one in services(Site(tmp_path), Ports.from_base(20000, 3))}
    assert ran["dicom_ingest"] == ran["dicom_ingest-2"] == ran["dicom_ingest-3"] == "services.dicom_ingest.app:build"
    assert len(ran) == len(SERVICES) + 2


class Answering(BaseHTTPRequestHandler):
    """Answers with its port and the length of what it was sent."""

    def do_GET(self) -> None:
        told = f"{self.server.server_port} {self._heard()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self) -> None:
        self.do_GET()

    def _heard(self) -> int:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return 0
        heard = 0
        while size := int(self.rfile.readline(), 16):
            heard += len(self.rfile.read(size))
            self.rfile.readline()
        return heard

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receivers() -> Iterator[list[ThreadingHTTPServer]]:
    """Three processes of the receiver, as far as the router knows."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Answering) for _ in range(3)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        end(server)


def end(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


def routed(servers: list[ThreadingHTTPServer]) -> httpx.AsyncClient:
    """A client of the router before them."""
    names = ("dicom_ingest", "dicom_ingest-2", "dicom_ingest-3")
    urls = {name: f"http://127.0.0.1:{one.server_port}" for name, one in zip(names, servers, strict=True)}
    return httpx.AsyncClient(transport=httpx.ASGITransport(router.build(urls)), base_url="http://site")


async def test_the_router_asks_all_in_turn(receivers: list[ThreadingHTTPServer]) -> None:
    async with routed(receivers) as client:
        asked = [(await client.get("/api/spool")).text for _ in range(6)]
    assert asked == [f"{one.server_port} 0" for one in receivers] * 2


async def test_what_one_does_not_take_another_does_with_its_whole_body(receivers: list[ThreadingHTTPServer]) -> None:
    for gone in (receivers[0], receivers[2]):
        end(gone)
    async with routed(receivers) as client:
        told = [(await client.post("/dicom-web/studies", content=b"x" * 1000)).text for _ in range(3)]
    assert told == [f"{receivers[1].server_port} 1000"] * 3


async def test_when_none_is_there_the_client_comes_again(receivers: list[ThreadingHTTPServer]) -> None:
    for gone in receivers:
        end(gone)
    async with routed(receivers) as client:
        answer = await client.get("/api/spool")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
