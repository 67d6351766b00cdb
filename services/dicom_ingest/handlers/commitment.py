"""Requests for storage commitment, and what was decided on them."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from contracts.events import CommitmentDecided
from services.dicom_ingest.domain import commitment
from services.dicom_ingest.domain.command import Command
from services.dicom_ingest.domain.commitment import LONGEST_REQUEST, RESOURCE_LIMITATION, RequestRefused
from services.dicom_ingest.domain.peers import Peer
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports.commitment import Line, Requests
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.messaging.threads import in_thread
from shared.observability import logger

log = logger("dicom_ingest.commitment")


class Commitment:
    """Takes requests on the threads of associations, and decisions from the bus; both are durable when it returns."""

    def __init__(self, *, requests: Requests, site_key: SiteKey, remembered: Callable[[Peer], str | None]) -> None:
        self.requests = requests
        self.site_key = site_key
        self._remembered = remembered
        self._lines: dict[str, Line] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.news = asyncio.Event()

    def begin(self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str, line: Line) -> "Asking":
        """Begin to take a request; RequestRefused."""
        commitment.check(command, abstract_syntax)
        return Asking(self, visit, transfer_syntax, line)

    def ask(self, visit: Visit, data_set: bytes, transfer_syntax: str, line: Line) -> None:
        """Return when the request is durable; RequestRefused."""
        asked = commitment.read(data_set, transfer_syntax)
        request = commitment.requested(
            asked,
            calling_ae=visit.calling_ae,
            called_ae=visit.called_ae,
            site_key=self.site_key,
            now=datetime.now(UTC),
            peer=self._remembered(visit.peer),
        )
        self._lines = {name: each for name, each in self._lines.items() if each.is_open}
        self._lines[request.commitment_id] = line
        try:
            self.requests.keep(request, visit.traceparent)
        except OSError:
            raise RequestRefused("disk-refuses", RESOURCE_LIMITATION) from None
        log.info("commitment-requested", ref=request.commitment_id, instances=len(asked.references))
        self._wake()

    async def decided(self, received: Received[CommitmentDecided]) -> None:
        """Keep a decision until the peer knows; a repeat changes nothing."""
        await in_thread(self.requests.decide, received.data)
        self.news.set()

    def line_of(self, commitment_id: str) -> Line | None:
        """The association on which it was asked for, while it lasts."""
        line = self._lines.get(commitment_id)
        return line if line is not None and line.is_open else None

    def attend(self) -> None:
        """From now on ``news`` is set, on this loop, when there is something to do."""
        self._loop = asyncio.get_running_loop()

    def _wake(self) -> None:
        if self._loop is not None:
            # The loop may have ended while the last associations are cut.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.news.set)


class Asking:
    """A request whose data set is on its way in."""

    def __init__(self, taken_by: Commitment, visit: Visit, transfer_syntax: str, line: Line) -> None:
        self._taken_by = taken_by
        self._visit = visit
        self._transfer_syntax = transfer_syntax
        self._line = line
        self._data_set = bytearray()

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set; RequestRefused when they are too many."""
        if len(self._data_set) + len(chunk) > LONGEST_REQUEST:
            raise RequestRefused("request-too-long", RESOURCE_LIMITATION)
        self._data_set += chunk

    def commit(self) -> None:
        """Return when the request is durable; RequestRefused."""
        self._taken_by.ask(self._visit, bytes(self._data_set), self._transfer_syntax, self._line)

    def abandon(self) -> None:
        """It will not be finished."""
        self._data_set.clear()
