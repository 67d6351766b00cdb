"""The DICOM port of the worklist: associations over TCP, each a task of the event loop, and only so many of them."""

import asyncio
import contextlib
import socket

from services.hl7_fhir.adapters.dicom_association import Association, Find, Limits, Titles
from services.hl7_fhir.domain import dimse
from shared.errors import RetryLater
from shared.observability import logger, metrics

log = logger("causeway.worklist")


class DicomPort:
    """Listens for associations while ``run`` is awaited."""

    def __init__(self, *, host: str, port: int, titles: Titles, find: Find, limits: Limits | None = None) -> None:
        self._host = host
        self._port = port
        self._titles = titles
        self._find = find
        self._limits = limits or Limits()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()
        self.port = 0

    async def run(self) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._accept, self._host, self._port, limit=self._limits.pdu)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        log.info("worklist-listening", port=self.port)
        try:
            await asyncio.Event().wait()
        finally:
            self.listening.clear()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def check(self) -> None:
        """RetryLater unless it listens: a readiness check."""
        if not self.listening.is_set():
            raise RetryLater("worklist-not-listening")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an association is served by a task")
        try:
            if len(self._tasks) >= self._limits.associations:
                await _turn_away(writer)
                return
            self._tasks.add(task)
            _keep_alive(writer)
            outcome = await Association(reader, writer, self._titles, self._find, self._limits).serve()
            metrics().count("causeway_associations_total", outcome=outcome)
            log.info("worklist-association-ended", outcome=outcome)
        finally:
            self._tasks.discard(task)
            writer.close()


async def _turn_away(writer: asyncio.StreamWriter) -> None:
    """Too many: rejected for the moment (PS3.8 table 9-21: transient, presentation, local limit exceeded)."""
    metrics().count("causeway_associations_total", outcome="refused")
    log.warning("worklist-association-refused")
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            writer.write(dimse.rejection(2, 3, 2))
            await writer.drain()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
