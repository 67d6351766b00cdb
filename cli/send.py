"""``causeway send``: DICOM files over C-STORE, byte for byte, as a modality would."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.dicom_files import Outgoing, Problem, Skipped, examine, files_below
from cli.options import Data, Json, site_of
from cli.output import console, emit_json, fail, say, warn
from cli.scu import MAX_CONTEXTS, ConnectionLost, Pair, Rejected, Sender
from cli.site import SiteDown

#: Told after each file: how many are done, and how many bytes of data sets were acknowledged so far.
Progressed = Callable[[int, int], None]
CALLING_AE, CALLED_AE = "CAUSEWAY_SEND", "CAUSEWAY"
_TIMEOUT = 120.0
#: Seconds for which a receiver may be away: at first, and once it was there (it may be starting again).
_FIRST_PATIENCE, _PATIENCE = 3.0, 60.0
_PAUSE = 0.5


@dataclass
class Report:
    """What became of the files; seconds are those of sending."""

    sent: list[Outgoing] = field(default_factory=list)
    failed: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def bytes(self) -> int:
        """Bytes of acknowledged data sets."""
        return sum(outgoing.length for outgoing in self.sent)

    @property
    def is_success(self) -> bool:
        """Something was sent, and nothing failed."""
        return bool(self.sent) and not self.failed

    def sentence(self) -> str:
        """The report in one line."""
        seconds = max(self.seconds, 1e-9)
        told = f"{len(self.sent)} instances ({self.bytes / 1e6:.1f} MB) acknowledged in {self.seconds:.1f} s"
        rates = f"{len(self.sent) / seconds:.0f} instances/s, {self.bytes / seconds / 1e6:.1f} MB/s"
        return f"{told}: {rates}, {len(self.failed)} failed, {len(self.skipped)} skipped"

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "sent": len(self.sent),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "instances_per_second": round(len(self.sent) / max(self.seconds, 1e-9), 1),
            "failed": [{"path": str(problem.path), "why": problem.why} for problem in self.failed],
            "skipped": [{"path": str(skipped.path), "why": skipped.why} for skipped in self.skipped],
        }


def send(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    called_ae: str = CALLED_AE,
    on_progress: Progressed | None = None,
) -> Report:
    """Send every DICOM file of ``paths`` over at most ``associations`` at a time; never raises for one bad file."""
    report = Report()
    outgoing = []
    for path in files_below(paths):
        found = examine(path)
        if isinstance(found, Outgoing):
            outgoing.append(found)
        else:
            (report.skipped if isinstance(found, Skipped) else report.failed).append(found)  # type: ignore[arg-type]
    dispatch = Dispatch(report, Peer(host, port, calling_ae, called_ae), on_progress or (lambda done, size: None))
    started = time.monotonic()
    for pairs, group in by_contexts(outgoing):
        dispatch.run(pairs, group, associations)
    report.seconds = time.monotonic() - started
    return report


def by_contexts(outgoing: Iterable[Outgoing]) -> list[tuple[list[Pair], list[Outgoing]]]:
    """The files in groups whose SOP classes and syntaxes fit into one association."""
    files: dict[Pair, list[Outgoing]] = defaultdict(list)
    for each in outgoing:
        files[each.sop_class, each.transfer_syntax].append(each)
    pairs = list(files)
    chunks = [pairs[at : at + MAX_CONTEXTS] for at in range(0, len(pairs), MAX_CONTEXTS)]
    return [(chunk, [each for pair in chunk for each in files[pair]]) for chunk in chunks]


@dataclass(frozen=True)
class Peer:
    """Whom to call, and as whom."""

    host: str
    port: int
    calling_ae: str
    called_ae: str

    def associate(self, pairs: Sequence[Pair]) -> Sender:
        """A new association; ConnectionLost."""
        return Sender(self.host, self.port, pairs, self.calling_ae, self.called_ae, _TIMEOUT)


class Dispatch:
    """Spreads files over associations, one thread each."""

    def __init__(self, report: Report, peer: Peer, on_progress: Progressed) -> None:
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
            self._done += 1
            if isinstance(what, Outgoing):
                self._report.sent.append(what)
                self._size += what.length
            else:
                self._report.failed.append(what)
            self._on_progress(self._done, self._size)


def send_with_progress(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    called_ae: str = CALLED_AE,
) -> Report:
    """The same with a bar on the terminal; what was not sent is told on standard error."""
    files = list(files_below(paths))
    columns = (TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=console, transient=True) as progress:
        bar = progress.add_task("sending", total=len(files), rate="")
        started = time.monotonic()

        def show(done: int, size: int) -> None:
            seconds = max(time.monotonic() - started, 1e-9)
            progress.update(
                bar, completed=done, rate=f"{done / seconds:.0f} instances/s {size / seconds / 1e6:.1f} MB/s"
            )

        report = send(
            files,
            host=host,
            port=port,
            associations=associations,
            calling_ae=calling_ae,
            called_ae=called_ae,
            on_progress=show,
        )
    tell(report)
    return report


def tell(report: Report) -> None:
    """What was not sent, and why, on standard error."""
    for skipped in report.skipped:
        warn(f"skipped {skipped.path}: {skipped.why}")
    for problem in report.failed:
        warn(f"failed {problem.path}: {problem.why}")


def _address(to: str | None, data: Path | None) -> tuple[str, int]:
    try:
        told = to or site_of(data).endpoints()["dicom"]
    except SiteDown as error:
        fail(str(error))
    host, separator, port = told.rpartition(":")
    if not separator or not port.isdigit():
        fail(f"not an address: {told} (HOST:PORT is meant)")
    return host.strip("[]"), int(port)


def command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all files in them.")],
    to: Annotated[str | None, typer.Option("--to", metavar="HOST:PORT", help="Default: the site's DICOM port.")] = None,
    associations: Annotated[int, typer.Option("--associations", min=1, max=64, help="How many at a time.")] = 1,
    calling_ae: Annotated[str, typer.Option("--calling-ae", help="Our AE title.")] = CALLING_AE,
    called_ae: Annotated[str, typer.Option("--called-ae", help="The receiver's AE title.")] = CALLED_AE,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send DICOM files over C-STORE, byte for byte in the syntax they have; status 0 when all were acknowledged."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        fail(f"no such file or folder: {', '.join(missing)}")
    host, port = _address(to, data)
    if json:
        report = send(
            paths, host=host, port=port, associations=associations, calling_ae=calling_ae, called_ae=called_ae
        )
        emit_json(report.document())
    else:
        report = send_with_progress(
            paths, host=host, port=port, associations=associations, calling_ae=calling_ae, called_ae=called_ae
        )
        say(report.sentence())
    raise typer.Exit(0 if report.is_success else 1)
