"""Reports on the association on which they were asked for, while the peer stays (PS3.4 section J.3.3)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from contracts.events import CommitmentDecided
from services.dicom_ingest.adapters.pdus import data_pdus
from services.dicom_ingest.domain import commitment
from services.dicom_ingest.domain.command import event_report
from services.dicom_ingest.domain.negotiation import COMMITMENT
from services.dicom_ingest.ports.commitment import NotReported

#: How often a quiet association looks for something to tell, and how long the peer may take to answer, seconds.
LOOK_EVERY = 0.2
PATIENCE = 30.0


@dataclass(frozen=True)
class Report:
    """An N-EVENT-REPORT to be sent; ``information`` is encoded as the presentation context demands."""

    message_id: int
    event_type: int
    information: bytes


class Line:
    """What one thread has to tell waits here for the association's own, or for ``nudge`` to send it."""

    def __init__(
        self, context_id: int, transfer_syntax: str, nudge: Callable[[], None] | None = None, patience: float = PATIENCE
    ) -> None:
        self.context_id = context_id
        self._transfer_syntax = transfer_syntax
        self._nudge = nudge
        self._patience = patience
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._reports: list[Report] = []
        self._answer: tuple[int, Future[int]] | None = None
        self._last = 0
        self.is_open = True

    def report(self, decision: CommitmentDecided) -> int:
        """Send the report and return the peer's status; NotReported. One at a time: our window is one operation."""
        encoded = commitment.encode(commitment.information(decision), self._transfer_syntax)
        with self._turn:
            answer: Future[int] = Future()
            with self._lock:
                if not self.is_open:
                    raise NotReported("association-over")
                self._last = self._last % 0xFFFF + 1
                self._reports.append(Report(self._last, commitment.event_type(decision), encoded))
                self._answer = self._last, answer
            try:
                if self._nudge is not None:
                    self._nudge()
                return answer.result(self._patience)
            except TimeoutError:
                raise NotReported("peer-does-not-answer") from None

    def pdus(self, longest: int) -> Iterator[bytes]:
        """What is to be sent now, in PDUs whose bodies are at most ``longest`` bytes."""
        for report in self.take():
            command = event_report(report.message_id, COMMITMENT, commitment.WELL_KNOWN_INSTANCE, report.event_type)
            yield from data_pdus(self.context_id, command, longest)
            yield from data_pdus(self.context_id, report.information, longest, is_command=False)

    def take(self) -> list[Report]:
        """What is to be sent now."""
        with self._lock:
            taken, self._reports = self._reports, []
        return taken

    def answered(self, message_id: int, status: int) -> None:
        """The peer has answered; what nobody waits for any longer is let pass."""
        with self._lock:
            expected, self._answer = self._answer, None
            if expected is not None and expected[0] == message_id:
                expected[1].set_result(status)
            else:
                self._answer = expected

    def close(self) -> None:
        """The association is over."""
        with self._lock:
            self.is_open = False
            expected, self._answer = self._answer, None
        if expected is not None:
            expected[1].set_exception(NotReported("association-over"))
