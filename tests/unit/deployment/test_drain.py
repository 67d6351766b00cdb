"""How a pod of ingest ends: its preStop hook."""

import http.server
import json
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from cli.setup.certificates import Authority
from tests.unit.deployment.cluster import of, pod


class Spool(http.server.BaseHTTPRequestHandler):
    """An ingest whose spool holds two batches, then one, then none; it wants its token."""

    left = 3
    refused = 0

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Bearer secret-of-the-operator":
            type(self).refused += 1
        type(self).left -= 1
        body = json.dumps({"batches": self.left, "bytes": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_ingest_ends_only_when_its_spool_is_empty(tmp_path: Path) -> None:
    """Its preStop hook, run against a server that counts down."""
    found = pod(of("base", "StatefulSet")["dicom-ingest"])
    *python, script = found["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert python == ["python", "-I", "-S", "-c"]
    authority = Authority.create("test")
    for name, content in zip(("tls.crt", "tls.key"), authority.issue("i", ("dicom-ingest",)), strict=True):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    (tmp_path / "tokens").write_text("operator secret-of-the-operator\nmonitoring another\n")
    server = http.server.HTTPServer(("127.0.0.1", 0), Spool)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = script.replace("/run/causeway", str(tmp_path)).replace("8443", str(server.server_port))
    subprocess.run([sys.executable, "-I", "-S", "-c", here.replace("time.sleep(1)", "time.sleep(0)")], check=True)
    server.shutdown()
    server.server_close()
    assert (Spool.left, Spool.refused) == (0, 0)
    waits = re.search(r"monotonic\(\) \+ (\d+)", script)
    assert waits
    assert int(waits[1]) + 60 < found["terminationGracePeriodSeconds"]
