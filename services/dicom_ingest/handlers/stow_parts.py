"""The parts of one store request on their way into the spool. Called on worker threads, never on the event loop."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from services.dicom_ingest.domain.command import C_STORE, CANNOT_UNDERSTAND, Command, InstanceRefused
from services.dicom_ingest.domain.part10_meta import FileMeta, MetaReader
from services.dicom_ingest.domain.stow import Names, Outcome, RequestRefused, check_supported, failed, stored
from services.dicom_ingest.domain.stow_media import check_part, declared_length
from services.dicom_ingest.domain.stow_names import NAMES_WITHIN, identified, names_in
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.reception import Incoming, Reception
from services.dicom_ingest.ports import How
from services.dicom_ingest.ports.parts import BodyReader, PartSink
from shared.errors import CausewayError
from shared.observability import logger

log = logger("dicom_ingest.stow")

_NO_META = FileMeta("", "", "")


class PartIncoming:
    """One part. After a failure the rest of it is heard out and dropped."""

    def __init__(self, reception: Reception, visit: Visit, headers: Mapping[str, str]) -> None:
        self._reception, self._visit = reception, visit
        self._declared, self._size = declared_length(headers), 0
        self._reader = MetaReader()
        self._meta = _NO_META
        self._beginning = bytearray()
        self._incoming: Incoming | None = None
        self._failure: Exception | None = None
        self._attempt(check_part, headers)

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the file."""
        self._size += len(chunk)
        self._attempt(self._take, chunk)

    def end(self) -> Outcome:
        """The part is complete: what came of it."""
        self._attempt(self._commit)
        told = Names(self._meta.sop_class, self._meta.sop_instance)
        if self._failure is not None:
            self._visit.refused += 1
            return failed(identified(told), self._failure)
        return stored(told, names_in(self._beginning, self._meta.transfer_syntax))

    def cut(self) -> Outcome:
        """The part will not be finished: nothing of it stays."""
        self._attempt(_cut_short)
        return self.end()

    def _take(self, chunk: memoryview) -> None:
        if self._incoming is None:
            found = self._reader.feed(chunk)
            if found is None:
                return
            self._meta, chunk = found
            self._incoming = self._open(self._meta)
        self._beginning += chunk[: NAMES_WITHIN - len(self._beginning)]
        self._incoming.write(chunk)

    def _open(self, meta: FileMeta) -> Incoming:
        check_supported(meta, self._visit.peer.takes)
        command = Command(C_STORE, 0, meta.sop_class, meta.sop_instance, has_data_set=True)
        return self._reception.store(
            self._visit, command, meta.sop_class, meta.transfer_syntax, is_foreign=meta.is_foreign
        )

    def _commit(self) -> None:
        if self._incoming is None or not self._beginning or self._size < (self._declared or 0):
            _cut_short()
        else:
            self._incoming.commit()
            self._incoming = None

    def _attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        """The first failure is the part's, and nothing of the instance stays."""
        if self._failure is not None:
            return
        try:
            step(*arguments)
        except Exception as error:
            if not isinstance(error, CausewayError):
                log.exception("part-failed")
            self._failure = error
            if self._incoming is not None:
                self._incoming.abandon()
                self._incoming = None


def _cut_short() -> None:
    raise InstanceRefused("part-cut-short", CANNOT_UNDERSTAND)


class StoreRequest:
    """The sink of one body. What must not happen at once, a chunk and the end, waits for the other."""

    def __init__(self, reception: Reception, visit: Visit, max_parts: int) -> None:
        """``max_parts`` bounds what is remembered of a request."""
        self.visit = visit
        self.outcomes: list[Outcome] = []
        self._reception, self._max_parts = reception, max_parts
        self._part: PartIncoming | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins; RequestRefused when there were too many before it."""
        if len(self.outcomes) >= self._max_parts:
            raise RequestRefused("too-many-parts", 413)
        self._part = PartIncoming(self._reception, self.visit, headers)

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the part."""
        if self._part is not None:
            self._part.write(chunk)

    def end(self) -> None:
        """The part is complete."""
        part, self._part = self._part, None
        if part is not None:
            self.outcomes.append(part.end())

    def enter(self) -> None:
        """The request was let in: its trace begins."""
        self._reception.arrive(self.visit)

    def feed(self, reader: BodyReader, chunk: bytes) -> None:
        """Have ``reader`` take the next bytes of the body, or its end when there are none; RequestRefused."""
        with self._lock:
            if self._is_over:
                return
            if chunk:
                reader.feed(chunk)
            else:
                reader.finish()

    def leave(self, how: How) -> None:
        """Nothing more will come; what was stored stays."""
        with self._lock:
            self._is_over = True
            part, self._part = self._part, None
            if part is not None:
                self.outcomes.append(part.cut())
            self._reception.leave(self.visit, how)


class OneFile:
    """The reader of a body that is one file without boundaries."""

    def __init__(self, sink: PartSink) -> None:
        self._sink = sink
        sink.begin({})

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._sink.write(memoryview(chunk))

    def finish(self) -> None:
        """The body is over."""
        self._sink.end()
