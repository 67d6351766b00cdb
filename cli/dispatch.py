"""Spreading DICOM files over associations, and what becomes of each."""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.dicom_files import Outgoing, Problem, Skipped
from cli.scu import ConnectionLost, Pair, Rejected, Sender

#: Told after each file: how many are done; of them, how many were acknowledged, and with how many bytes of data sets.
Progressed = Callable[[int, int, int], None]
_TIMEOUT = 120.0
#: Seconds for which a receiver may be away: at first, and once it was there (it may be starting again).
_FIRST_PATIENCE, _PATIENCE = 3.0, 60.0
_PAUSE = 0.5


@dataclass
class Report:
    """What became of the files: ``unsendable`` ones never left, ``refused`` ones were not taken. Seconds of sending."""

    sent: list[Outgoing] = field(default_factory=list)
    unsendable: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def bytes(self) -> int:
        """Bytes of acknowledged data sets."""
        return sum(outgoing.length for outgoing in self.sent)

    @property
    def failed(self) -> list[Problem]:
        """Everything that should have been stored and was not."""
        return [*self.unsendable, *self.refused]

    @property
    def rates(self) -> tuple[float, float]:
        """Acknowledged instances and megabytes of data sets per second."""
        seconds = max(self.seconds, 1e-9)
        return len(self.sent) / seconds, self.bytes / seconds / 1e6

    @property
    def is_success(self) -> bool:
        """Something was sent, and nothing failed."""
        return bool(self.sent) and not self.failed

    def sentence(self) -> str:
        """The report in one line."""
        told = f"{len(self.sent)} instances ({self.bytes / 1e6:.1f} MB) acknowledged in {self.seconds:.1f} s"
        rates = "{:.0f} instances/s, {:.1f} MB/s".format(*self.rates)
        return f"{told}: {rates}, {len(self.failed)} failed, {len(self.skipped)} skipped"

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        instances, megabytes = self.rates
        return {
            "sent": len(self.sent),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "instances_per_second": round(instances, 1),
            "megabytes_per_second": round(megabytes, 3),
            "failed": [{"path": str(problem.path), "why": problem.why} for problem in self.failed],
            "skipped": [{"path": str(skipped.path), "why": skipped.why} for skipped in self.skipped],
        }


@dataclass(frozen=True)
class Peer:
    """Whom to call, as whom, and how it is secured if at all."""

    host: str
    port: int
    calling_ae: str
    called_ae: str
    secured_by: ssl.SSLContext | None = None

    def associate(self, pairs: Sequence[Pair]) -> Sender:
        """A new association; ConnectionLost."""
        return Sender(self.host, self.port, pairs, self.calling_ae, self.called_ae, _TIMEOUT, self.secured_by)


class Dispatch:
    """Spreads files over associations, one thread each."""

    def __init__(self, report: Report, peer: Peer, on_progress: Progressed | None) -> None:
        self._report = report
        self._peer = peer
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = self._size = 0
        self._retried: set[Outgoing] = set()

    def run(self, pairs: Sequence[Pair], outgoing: Sequence[Outgoing], associations: int) -> None:
        """Return when every file was sent or has failed."""
        queue = deque(outgoing)
        count = max(1, min(associations, len(outgoing)))
        threads = [threading.Thread(target=self._work, args=(pairs, queue)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, pairs: Sequence[Pair], queue: "deque[Outgoing]") -> None:
        """Send from the queue; a broken association is made again, and its file is tried once more."""
        patience = time.monotonic() + _FIRST_PATIENCE
        while queue:
            try:
                sender = self._peer.associate(pairs)
            except Rejected as error:
                if error.is_final or time.monotonic() > patience:
                    self._give_up(queue, str(error))
                time.sleep(_PAUSE)
            except ConnectionLost as error:
                if time.monotonic() > patience:
                    self._give_up(queue, str(error))
                time.sleep(_PAUSE)
            else:
                self._send_all(sender, queue)
                patience = time.monotonic() + _PATIENCE

    def _send_all(self, sender: Sender, queue: "deque[Outgoing]") -> None:
        """Until the queue is empty or the association is lost."""
        while True:
            try:
                outgoing = queue.popleft()
            except IndexError:
                sender.release()
                return
            try:
                self._send_one(sender, outgoing)
            except ConnectionLost as error:
                sender.close()
                self._once_more(queue, outgoing, str(error))
                return

    def _send_one(self, sender: Sender, outgoing: Outgoing) -> None:
        if not sender.accepts(outgoing):
            self._note(Problem(outgoing.path, "the receiver does not take this SOP class in this transfer syntax"))
            return
        try:
            status = sender.store(outgoing)
        except OSError as error:
            self._note(Problem(outgoing.path, f"cannot be read: {error.strerror or error}"))
            return
        if status.is_success:
            self._note(outgoing)
        else:
            self._note(Problem(outgoing.path, f"refused with status {status.code:04X} {status.comment}".strip()))

    def _once_more(self, queue: "deque[Outgoing]", outgoing: Outgoing, why: str) -> None:
        with self._lock:
            if outgoing not in self._retried:
                self._retried.add(outgoing)
                queue.appendleft(outgoing)
                return
        self._note(Problem(outgoing.path, why))

    def _give_up(self, queue: "deque[Outgoing]", why: str) -> None:
        while queue:
            try:
                self._note(Problem(queue.popleft().path, why))
            except IndexError:
                return

    def _note(self, what: Outgoing | Problem) -> None:
        with self._lock:
            if isinstance(what, Outgoing):
                self._report.sent.append(what)
                self._size += what.length
            else:
                self._report.refused.append(what)
            self.note()

    def note(self) -> None:
        """One more file is done with, whatever became of it."""
        self._done += 1
        if self._on_progress:
            self._on_progress(self._done, len(self._report.sent), self._size)
