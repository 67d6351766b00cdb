"""Receivers of HL7 over MLLP, each a process of its own: hl7apy's server, python-hl7's, and hl7_fhir as shipped.

The peers keep nothing: they parse a message and acknowledge it. Run as a program this module is one of them.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_seconds
from bench.receivers import ROOT, listens
from contracts.streams import documents
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision_site
from shared.settings import ServiceSettings
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

PEERS = ("hl7apy", "python_hl7")


@dataclass(frozen=True)
class Hl7Receiver:
    """A running receiver; one that does not keep its connections closes each after one message."""

    name: str
    port: int
    pid: int

    @property
    def keeps_connections(self) -> bool:
        """Whether another message may follow on the same connection."""
        return self.name != "hl7apy"

    def cpu(self) -> float:
        """Seconds of processor time so far, the kernel's for it included."""
        return cpu_seconds(self.pid)


@contextmanager
def _running(name: str, command: list[str], port: int, folder: Path, **environment: str) -> Iterator[Hl7Receiver]:
    server = ServerProcess(
        command, log=folder / f"{name}.log", ready=lambda: listens(port), environment=environment, folder=folder
    )
    server.start()
    assert server.process is not None
    try:
        yield Hl7Receiver(name, port, server.process.pid)
    finally:
        server.stop()


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Hl7Receiver]:
    """One of PEERS."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.hl7_receivers", name, str(port)]
    with _running(name, command, port, folder, PYTHONPATH=str(ROOT)) as found:
        yield found


@contextmanager
def causeway(folder: Path) -> Iterator[Hl7Receiver]:
    """hl7_fhir on SQLite, beside a JetStream server that syncs every message and hears of every order."""
    nats = NatsServer(folder / "nats").start()
    SiteKey.create(folder / "site.key")
    asyncio.run(provision_site(ServiceSettings(nats_url=nats.url), read_plan(*documents()), {"target": ["onsite"]}))
    (port,) = free_ports(1)
    environment = {
        "PYTHONPATH": str(ROOT),
        "CAUSEWAY_NATS_URL": nats.url,
        "CAUSEWAY_SITE_KEY_FILE": str(folder / "site.key"),
        "CAUSEWAY_DATABASE_URL": f"sqlite:///{folder / 'hl7_fhir.sqlite3'}",
        "CAUSEWAY_MLLP_PORT": str(port),
    }
    command = [sys.executable, "-m", "shared.service", "services.hl7_fhir.app:build"]
    try:
        with _running("causeway", command, port, folder, **environment) as found:
            yield found
    finally:
        nats.kill()


def _hl7apy(port: int) -> None:
    from hl7apy.core import Message
    from hl7apy.mllp import AbstractHandler, MLLPServer
    from hl7apy.parser import parse_message

    class Order(AbstractHandler):  # type: ignore[misc]
        def reply(self) -> str:
            """As its documentation does it: parse, answer."""
            asked = parse_message(self.incoming_message)
            answer = Message("ACK", version=asked.version)
            answer.msh.msh_9 = "ACK"
            answer.msa.msa_1 = "AA"
            answer.msa.msa_2 = asked.msh.msh_10.value
            return str(answer.to_mllp())

    MLLPServer("127.0.0.1", port, {"ORM^O01": (Order,)}).serve_forever()


def _python_hl7(port: int) -> None:
    from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

    async def talk(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        while not writer.is_closing():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            writer.writemessage(message.create_ack())
            await writer.drain()
        writer.close()

    async def serve() -> None:
        async with await start_hl7_server(talk, port=port, host="127.0.0.1") as server:
            await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    {"hl7apy": _hl7apy, "python_hl7": _python_hl7}[sys.argv[1]](int(sys.argv[2]))
