"""Receivers of HL7 over MLLP, each a process of its own: hl7apy's server, python-hl7's, and hl7_fhir as shipped.

The peers keep nothing: they parse a message and acknowledge it. Run as a program this module is one of them.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.receivers import ROOT, Receiver, running, service
from tests.support.ports import free_ports

#: Seconds until everything that was accepted must have been mapped.
_PATIENCE = 300.0

HL7APY, PYTHON_HL7 = PEERS = ("hl7apy", "python_hl7")


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Receiver]:
    """One of PEERS."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.hl7_receivers", name, str(port)]
    with running(name, command, port, folder, PYTHONPATH=str(ROOT)) as found:
        yield found


@contextmanager
def causeway(folder: Path) -> Iterator[Receiver]:
    """hl7_fhir on SQLite, beside a JetStream server that syncs every message and hears of every order."""
    path = folder / "hl7_fhir.sqlite3"
    with service("hl7_fhir", "CAUSEWAY_MLLP_PORT", folder, CAUSEWAY_DATABASE_URL=f"sqlite:///{path}") as found:
        yield replace(found, settle=lambda: _wait_until_mapped(path))


def _wait_until_mapped(path: Path) -> None:
    """Until every message is in FHIR, and the bus has heard of it."""
    deadline = time.monotonic() + _PATIENCE
    while _left(path):
        if time.monotonic() > deadline:
            raise TimeoutError("messages are not mapped")
        time.sleep(0.05)


def _left(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        waiting = database.execute("SELECT count(*) FROM messages WHERE state = 'waiting'").fetchone()[0]
        return int(waiting + database.execute("SELECT count(*) FROM outbox").fetchone()[0])


def _hl7apy(port: int) -> None:
    from hl7apy.core import Message
    from hl7apy.mllp import AbstractHandler, MLLPServer
    from hl7apy.parser import parse_message

    class Order(AbstractHandler):  # type: ignore[misc]  # hl7apy tells no types
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
    {HL7APY: _hl7apy, PYTHON_HL7: _python_hl7}[sys.argv[1]](int(sys.argv[2]))
