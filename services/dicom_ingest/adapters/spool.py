"""The spool: one directory per process incarnation, under a lock that dies with the process."""

import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.dicom_ingest.adapters.batch_file import BATCH, BatchFile, FileRecording, sync_directory
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.spooled import batch_files, may_hold
from services.dicom_ingest.domain import batches
from services.dicom_ingest.domain.batches import BatchRules, BatchState
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.records import Arrival, Opening
from services.dicom_ingest.domain.study_scan import StudyKey
from services.dicom_ingest.ports.spool import BeginTrace, SpoolRefused

LOCK = "lock"
#: The folders beside the incarnations that belong to all of them.
COMMITMENTS, STEPS = "commitments", "steps"
#: Abandoned bytes that are not kept on the disk until a batch has filled up.
_MUCH = 16 * 1024 * 1024

#: Calling and called AE title.
Source = tuple[str, str]


@dataclass(eq=False)
class OpenBatch:
    """A batch file and what is known of it while it is open."""

    file: BatchFile
    state: BatchState

    @property
    def batch_id(self) -> str:
        """The id it was opened with."""
        return self.file.opening.batch_id


def take_lock(directory: Path) -> int | None:
    """The handle of the directory's lock, None when another process holds it or the directory is gone."""
    try:
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it may have removed it before it let go.
        if os.fstat(handle).st_nlink:
            return handle
    os.close(handle)
    return None


class Spool:
    """The open batches of this process. Every method may be called from any thread."""

    def __init__(self, root: Path, rules: BatchRules, crash: CrashPoints, clock: Callable[[], float]) -> None:
        """Name the directory of this incarnation; ``open`` makes it."""
        self.root = root
        self._rules = rules
        self._crash = crash
        self._clock = clock
        self._open: list[OpenBatch] = []
        self._lock = threading.Lock()
        self.directory = root / f"{time.time_ns():x}-{secrets.token_hex(8)}"
        self._held: int | None = None

    async def open(self) -> None:
        """Make this incarnation's directory and lock it."""
        while self._held is None:
            # Another process that starts may take an unlocked directory for a dead one's, and remove it.
            self.directory.mkdir(parents=True, mode=0o700, exist_ok=True)
            self._held = take_lock(self.directory)
        sync_directory(self.root)

    async def check(self) -> None:
        """SpoolRefused unless the directory is still ours to write into."""
        if self._held is None or not (self.directory / LOCK).exists():
            raise SpoolRefused("spool-not-locked")

    def orphans(self) -> Iterator[tuple[Path, int]]:
        """Directories that a dead incarnation left, each with its lock, now ours."""
        for directory in sorted(self.root.iterdir()):
            if directory == self.directory or directory.name in (COMMITMENTS, STEPS) or not directory.is_dir():
                continue
            handle = take_lock(directory)
            if handle is not None:
                yield directory, handle

    def take(self, key: StudyKey, source: Source, visitor: str, trace: BeginTrace) -> OpenBatch:
        """A batch for one instance of this study, ours alone until it is given back."""
        with self._lock:
            found = next((each for each in self._open if batches.may_join(each.state, key, source, self._rules)), None)
            if found is not None:
                if visitor in found.state.visitors:
                    # It asks for more: it has the answer to what it stored before.
                    self._crash.passed("record.answered")
                return self._claim(found, visitor)
        return self._open_another(key, source, visitor, trace)

    def _open_another(self, key: StudyKey, source: Source, visitor: str, trace: BeginTrace) -> OpenBatch:
        opening = Opening(
            batch_id=secrets.token_hex(16),
            opened=datetime.now(UTC),
            study_uid=key.study_uid,
            shared=key.known,
            traceparent=trace(),
        )
        file = BatchFile(self.directory / f"{opening.batch_id}{BATCH}", opening, self._crash)
        batch = OpenBatch(file, BatchState(key, source, last=self._clock()))
        with self._lock:
            for old in batches.superfluous([each.state for each in self._open], self._rules):
                old.finished = True
            self._open.append(batch)
            return self._claim(batch, visitor)

    def _claim(self, batch: OpenBatch, visitor: str) -> OpenBatch:
        batch.state.busy = True
        batch.state.visitors.add(visitor)
        return batch

    def record(self, key: StudyKey, arrival: Arrival, visitor: str, trace: BeginTrace) -> "SpoolRecording":
        """Begin an instance of this study; SpoolRefused when the disk refuses."""
        return SpoolRecording(self, key, arrival, visitor, trace)

    def open_like(self, batch: OpenBatch, visitor: str, trace: BeginTrace) -> OpenBatch:
        """A new batch of the same study for an instance that has outgrown ``batch``."""
        return self._open_another(batch.state.key, batch.state.source, visitor, trace)

    def give_back(self, batch: OpenBatch, *, finished: bool = False) -> None:
        """Let others use the batch, or have it closed when its file can no longer be trusted with more."""
        with self._lock:
            state = batch.state
            state.busy = False
            state.finished = state.finished or finished
            state.last, state.ended = self._clock(), None
            state.size, state.instances = batch.file.end, batch.file.count

    def put_back(self, batch: OpenBatch, seconds: float) -> None:
        """Have a batch that could not be closed taken again after so many seconds; it takes no more instances."""
        with self._lock:
            batch.state.finished = True
            batch.state.last = self._clock() + seconds
            self._open.append(batch)

    def visitor_left(self, visitor: str) -> None:
        """Tell the batches that an association is over."""
        with self._lock:
            for batch in self._open:
                if visitor in batch.state.visitors:
                    batch.state.visitors.discard(visitor)
                    batch.state.ended = self._clock()

    def outgrown(self, batch: OpenBatch, coming: int) -> bool:
        """Whether an instance of ``coming`` bytes so far must leave ``batch``."""
        return batches.outgrown(batch.state, coming, self._rules)

    def take_due(self, *, everything: bool = False) -> list[OpenBatch]:
        """The idle batches whose time has come; they are no longer open for instances, and the caller closes them."""
        now = self._clock()
        with self._lock:
            ready = [
                each
                for each in self._open
                if not each.state.busy and (everything or batches.due(each.state, self._rules) <= now)
            ]
            self._open = [each for each in self._open if each not in ready]
        return ready

    def count_files(self, study_uid: str | None = None) -> int:
        """How many batches lie on the disk, those of other processes and of dead ones included.

        With a study only those that may hold some of it: one whose study could not be read may be anybody's.
        """
        return sum(study_uid is None or may_hold(path, study_uid) for path in batch_files(self.root))

    @property
    def open_batches(self) -> int:
        """How many batches are open."""
        return len(self._open)

    @property
    def open_bytes(self) -> int:
        """What lies in open batches."""
        return sum(each.state.size for each in self._open)

    def close(self) -> None:
        """Let go of the directory; it is removed when it is empty."""
        if self._held is not None:
            release(self.directory, self._held)
            self._held = None


def release(directory: Path, handle: int) -> None:
    """Give a directory's lock back, and remove the directory when no batch is left in it."""
    if not any(each.name != LOCK for each in directory.iterdir()):
        (directory / LOCK).unlink(missing_ok=True)
        # Another process may be looking for orphans, and leaves it in its turn.
        with suppress(OSError):
            directory.rmdir()
    os.close(handle)


class _Refusing:
    """Tells the sender to try later when the disk says no; nothing of the error's text goes on."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise SpoolRefused(refusal(error)) from None


_REFUSING = _Refusing()


def refusal(error: OSError) -> str:
    """A code for what the disk said."""
    return f"spool-{errno.errorcode.get(error.errno or 0, 'unknown').lower()}"


class SpoolRecording:
    """An instance that finds, keeps and gives back its batch."""

    def __init__(self, spool: Spool, key: StudyKey, arrival: Arrival, visitor: str, trace: BeginTrace) -> None:
        self._spool = spool
        self._visitor, self._trace = visitor, trace
        self._broken = False
        with _REFUSING:
            source = (arrival.calling_ae, arrival.called_ae)
            self._batch = spool.take(key, source, visitor, trace)
            with self._given_back_on_error():
                header = file_header(arrival.sop_class, arrival.sop_instance, arrival.transfer_syntax)
                self._recording = FileRecording(self._batch.file, arrival, header)

    @property
    def batch_id(self) -> str:
        """The batch that the instance is written into."""
        return self._batch.batch_id

    def write(self, *chunks: bytes | memoryview) -> None:
        """Append bytes of the data set, in a batch of its own once they outgrow the shared one."""
        with _REFUSING:
            self._broken = True
            if self._spool.outgrown(self._batch, self._recording.size + sum(map(len, chunks))):
                self._move()
            self._recording.write(*chunks)
            self._broken = False

    def _move(self) -> None:
        another, old = self._spool.open_like(self._batch, self._visitor, self._trace), self._batch
        try:
            self._recording.move(another.file)
        except OSError:
            self._spool.give_back(another, finished=True)
            raise
        self._batch = another
        self._spool.give_back(old, finished=True)

    def commit(self) -> None:
        """Return when the instance is durable and its batch free for others."""
        with _REFUSING, self._given_back_on_error():
            self._recording.commit()
        self._spool.give_back(self._batch)

    def abandon(self) -> None:
        """Leave nothing of the instance."""
        # What it wrote is overwritten by the next, or cut off when the batch is closed.
        finished = self._broken or self._recording.size > _MUCH
        if finished:
            with suppress(OSError):
                self._batch.file.forget()
        self._spool.give_back(self._batch, finished=finished)

    @contextmanager
    def _given_back_on_error(self) -> Iterator[None]:
        """After an error of the disk the batch is only closed: what its file holds beyond is unknown."""
        try:
            yield
        except OSError:
            with suppress(OSError):
                self._batch.file.forget()
            self._spool.give_back(self._batch, finished=True)
            raise
