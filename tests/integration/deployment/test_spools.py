"""The router of a site where ingest has several replicas: what it says of the spool is the sum of all, or nothing."""

import http.server
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.setup.vault import Vault
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

ROUTER = Path(__file__).resolve().parents[3] / "k8s" / "base" / "router"


class Replica(http.server.ThreadingHTTPServer):
    """An ingest with a spool of its own, behind the certificate that all replicas have."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Spool)
        self.spool: dict[str, object] = {"batches": 0, "bytes": 0, "storage": "redundant"}
        self.token = (folder / "tokens").read_text().split()[1]
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self.server_close()


class Spool(http.server.BaseHTTPRequestHandler):
    """What ingest answers at /api/spool, spaces of another encoder included."""

    server: Replica

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        known = self.headers["Authorization"] == f"Bearer {self.server.token}"
        body = json.dumps(self.server.spool if known else {"error": "who is asking?"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Site:
    """Two replicas and the router, as k8s/base configures it."""

    def __init__(self, folder: Path) -> None:
        Vault(folder / "vault").lay_out()
        self.secrets = folder / "vault"
        self.replicas = [Replica(self.secrets / "dicom-ingest") for _ in range(2)]
        self.token = self.replicas[0].token
        self.port, inside, health = free_ports(3)
        here = {
            "/run/causeway": str(self.secrets / "router"),
            "/etc/causeway": str(folder),
            "bind :8443": f"bind 127.0.0.1:{self.port}",
            "127.0.0.1:8404": f"127.0.0.1:{health}",
            "127.0.0.1:8405": f"127.0.0.1:{inside}",
        }
        for number, replica in enumerate(self.replicas):
            here[f"dicom-ingest-{number}.dicom-ingest-pods${{DOMAIN}}:8443"] = f"127.0.0.1:{replica.server_port}"
        for name in ("haproxy.cfg", "spools.lua"):
            text = (ROUTER / name).read_text()
            for old, new in here.items():
                text = text.replace(old, new)
            (folder / name).write_text(text)
        self.router = ServerProcess(
            [shutil.which("haproxy") or "", "-W", "-db", "-f", str(folder / "haproxy.cfg")],
            log=folder / "haproxy.log",
            ready=lambda: self.ask("/livez").status_code == 200,
            environment={"DOMAIN": "", "INGEST_REPLICAS": "2"},
        )
        self.router.start()

    def ask(self, path: str, *, token: str | None = None) -> httpx.Response:
        """Ask the router; an answer of 599 when there is none."""
        context = ssl.create_default_context(cafile=self.secrets / "router" / "ca.crt")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(verify=context, trust_env=False, timeout=20) as client:
                return client.get(f"https://localhost:{self.port}{path}", headers=headers)
        except httpx.TransportError as error:
            return httpx.Response(599, text=str(error))

    def end(self) -> None:
        """End everything."""
        self.router.kill()
        for replica in self.replicas:
            replica.end()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A router in front of two replicas."""
    if not shutil.which("haproxy"):
        pytest.skip("no haproxy here")
    running = Site(tmp_path)
    yield running
    running.end()


def test_the_spool_of_a_site_is_that_of_all_its_replicas(site: Site) -> None:
    """What one random replica says would let `causeway wait` miss what another acknowledged."""
    site.replicas[1].spool |= {"batches": 3, "bytes": 5_000_000_000}
    for _ in range(4):
        told = site.ask("/api/spool", token=site.token).json()
        assert told == {"batches": 3, "bytes": 5_000_000_000, "storage": "redundant"}
    site.replicas[0].spool |= {"batches": 1, "bytes": 10}
    told = site.ask("/api/spool?study=1.2.3", token=site.token).json()
    assert told == {"batches": 4, "bytes": 5_000_000_010, "storage": "redundant"}
    assert [replica.asked[-1] for replica in site.replicas] == ["/api/spool?study=1.2.3"] * 2


def test_a_replica_that_does_not_answer_is_never_taken_for_an_empty_one(site: Site) -> None:
    site.replicas[1].end()
    told = site.ask("/api/spool", token=site.token)
    assert (told.status_code, told.json()) == (503, {"error": "the spool of dicom-ingest-1 is not known"})
    site.replicas[1] = Replica(site.secrets / "dicom-ingest", site.replicas[1].server_port)
    assert site.ask("/api/spool", token=site.token).status_code == 200


def test_whoever_has_no_token_learns_nothing(site: Site) -> None:
    for token in (None, "a guess that is long enough"):
        told = site.ask("/api/spool", token=token)
        assert (told.status_code, told.json()) == (401, {"error": "who is asking?"})
