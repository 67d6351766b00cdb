"""The DICOM port of the worklist: associations over TCP, each a task of the event loop, and only so many of them."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from services.hl7_fhir.adapters.dicom_association import Association, Find, Limits, Titles
from services.hl7_fhir.adapters.listener import Listeners, Port
from services.hl7_fhir.domain.worklist import dimse
from shared.errors import RetryLater
from shared.observability import logger, metrics

log = logger("causeway.worklist")


class DicomPort:
    """Listens while ``run`` is awaited: on a plain port, on one for TLS (PS3.15 section B.12), or on both."""

    def __init__(self, *, ports: Sequence[Port], titles: Titles, find: Find, limits: Limits | None = None) -> None:
        self._wanted = ports
        self._titles = titles
        self._find = find
        self._limits = limits or Limits()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()
        self.ports: tuple[int, ...] = ()

    @property
    def port(self) -> int:
        """The first port."""
        return self.ports[0]

    async def run(self) -> None:
        """Serve until cancelled."""
        listeners = Listeners(self._wanted, self._protocol)
        self.ports = listeners.ports
        self.listening.set()
        for port in self.ports:
            log.info("worklist-listening", port=port)
        try:
            await listeners.serve()
        finally:
            self.listening.clear()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _protocol(self) -> asyncio.BaseProtocol:
        reader = asyncio.StreamReader(limit=self._limits.pdu)
        return asyncio.StreamReaderProtocol(reader, self._accept)

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
