"""Microsoft's own stand-in for Azure Blob Storage (``npm install azurite``), where a developer has it."""

import base64
import datetime
import hashlib
import hmac
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.storage import BlobStore, Credentials, open_store
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

#: Not a secret: the account that every Azurite has, by its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-08-06"


class Azurite:
    """One storage account."""

    def __init__(self, program: str, folder: Path) -> None:
        self._port = free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{self._port}/{ACCOUNT}"
        options = {"--blobHost": "127.0.0.1", "--blobPort": str(self._port), "--location": str(folder)}
        self.server = ServerProcess(
            [program, "--silent", "--skipApiVersionCheck", *(word for option in options.items() for word in option)],
            log=folder / "azurite.log",
            ready=self._answers,
        )

    def store(self) -> BlobStore:
        """A prefix of a new container."""
        container = f"c{uuid.uuid4().hex}"
        self._make(container)
        return open_store(f"az://{container}/suite?endpoint={self.endpoint}", Credentials(ACCOUNT, KEY))

    def _make(self, container: str) -> None:
        """Create Container, signed with the shared key, which obstore does not do."""
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": now, "x-ms-version": VERSION}
        told = "".join(f"{name}:{value}\n" for name, value in headers.items())
        signed = "PUT" + "\n" * 12 + told + f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
        httpx.put(f"{self.endpoint}/{container}?restype=container", headers=headers).raise_for_status()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A storage account for the session; skips the test without the program on the path."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no azurite-blob on the path: npm install azurite")
    account = Azurite(program, tmp_path_factory.mktemp("azurite"))
    account.server.start()
    yield account
    account.server.kill()
