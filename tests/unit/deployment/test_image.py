"""The Dockerfile: one for all services, without root, secrets or anything that a service does not need."""

import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cli.setup.certificates import Authority
from tests.unit.deployment.house import ROOT

STEPS = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PROBE = ROOT / "shared" / "http" / "probe.py"


def stage(name: str) -> str:
    """The instructions of one build stage."""
    return re.split(r"^FROM ", STEPS.partition(f" AS {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_final_stage_runs_as_an_ordinary_user() -> None:
    for name in ("service", "cli"):
        assert re.findall(r"^USER (\S+)$", stage(name), re.MULTILINE) == ["10001:10001"], name


def test_a_service_image_copies_its_own_package_the_contracts_and_shared_alone() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", stage("service"), re.MULTILINE)
    assert set(copied) == {"contracts/", "shared/", "services/__init__.py", "services/${SERVICE}/"}


def test_requirements_are_installed_by_hash_alone() -> None:
    installs = re.findall(r"\binstall --no-cache-dir.*?--requirement \S+", STEPS)
    assert len(installs) == 2
    assert all("--require-hashes" in install and "--no-deps" in install for install in installs)


def test_the_build_context_is_a_list_of_what_enters_it() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!contracts/",
        "!shared/",
        "!services/",
        "!cli/",
        "!pyproject.toml",
    }


class Answer(BaseHTTPRequestHandler):
    """200 for what lives, 503 for what does not."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path | None = None) -> Iterator[int]:
    """A server on loopback, with TLS when ``folder`` has a certificate; gives its port."""
    server = HTTPServer(("127.0.0.1", 0), Answer)
    if folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def probe(*arguments: object) -> int:
    """The exit status of the image's health check."""
    return subprocess.run([sys.executable, "-I", "-S", str(PROBE), *map(str, arguments)], check=False).returncode


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_health_check_tells_life_from_its_lack(encrypted: bool, tmp_path: Path) -> None:
    authority = Authority.create("test")
    certificate, key = authority.issue("encryption", ("encryption",))
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(key)
    with serving(tmp_path if encrypted else None) as port:
        assert probe(port) == 0
        assert probe(port, "/readyz") == 1
    assert probe(port) == 1, "nobody listens there any longer"
