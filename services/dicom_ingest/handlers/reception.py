"""Arrivals over DICOM: an association, an instance, the association's end. Called on the association's own thread."""

from collections.abc import Callable
from datetime import UTC, datetime

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, get_current_span, use_span

from contracts.events import AssociationEnded
from services.dicom_ingest.domain.command import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    NO_SUCH_SOP_CLASS,
    Command,
    InstanceRefused,
)
from services.dicom_ingest.domain.instance import without_study
from services.dicom_ingest.domain.negotiation import is_identifier, is_storage
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.records import Arrival
from services.dicom_ingest.domain.stow import OTHER_STUDY
from services.dicom_ingest.domain.study_scan import StudyKey, StudyScan
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports import Farewells, How, Recording, Room, Spool, SpoolRefused
from shared.identity import SiteKey
from shared.messaging.tracing import context_of, current_traceparent
from shared.observability import logger, metrics, tracer

log = logger("dicom_ingest.reception")

#: A large instance must not eat the disk's reserve: there is another look at the disk each so many bytes.
_LOOK_AGAIN = 16 * 1024 * 1024


def batch_trace(visit: Visit) -> str | None:
    """One trace per batch: the association's own for the first that it opens, one linked to it for each further one."""
    if not visit.traced:
        visit.traced = True
        return visit.traceparent
    links = [Link(get_current_span(context_of(visit.traceparent)).get_span_context())]
    with tracer().start_as_current_span("receive batch", Context(), SpanKind.SERVER, links=links):
        return current_traceparent()


class Reception:
    """Makes instances durable before they are acknowledged."""

    def __init__(
        self, *, spool: Spool, room: Room, farewells: Farewells, site_key: SiteKey, largest: Callable[[str], int]
    ) -> None:
        """``largest`` is the largest data set that is taken of a SOP class, bytes."""
        self._spool = spool
        self._room = room
        self._farewells = farewells
        self._site_key = site_key
        self._largest = largest
        self._spans: dict[str, Span] = {}

    def arrive(self, visit: Visit) -> None:
        """An association was accepted: the trace of its batches begins."""
        span = tracer().start_span("receive association", context_of(visit.traceparent), SpanKind.SERVER)
        self._spans[visit.association_id] = span
        with use_span(span):
            visit.traceparent = current_traceparent()

    def store(
        self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str, *, is_foreign: bool = False
    ) -> "Incoming":
        """Begin to take an instance; InstanceRefused, or SpoolRefused while the disk is low.

        ``is_foreign``: the file that it comes in is a program or a document as well.
        """
        if not is_identifier(command.sop_instance) or not is_identifier(command.sop_class):
            raise InstanceRefused("no-sop-uid", CANNOT_UNDERSTAND)
        if command.sop_class != abstract_syntax:
            raise InstanceRefused("other-sop-class", DATA_SET_MISMATCH)
        if not is_storage(abstract_syntax):
            # The context was accepted for another service.
            raise InstanceRefused("no-storage-class", NO_SUCH_SOP_CLASS)
        self._room.check()
        arrival = _arrival(visit, command, transfer_syntax, is_foreign)
        return Incoming(self._spool, self._room, visit, arrival, self._largest(command.sop_class))

    def leave(self, visit: Visit, how: How) -> None:
        """The association is over; one that only said hello is nobody's news."""
        self._spool.visitor_left(visit.association_id)
        if visit.stored or visit.refused:
            self._farewells.keep(self._farewell(visit, how), visit.traceparent)
        span = self._spans.pop(visit.association_id)
        span.set_attributes(
            {"association_id": visit.association_id, "instances": visit.stored, "refused": visit.refused}
        )
        span.end()
        metrics().count("causeway_associations_total", outcome=how)
        metrics().count("causeway_instances_total", visit.stored, outcome="stored")
        metrics().count("causeway_instances_total", visit.refused, outcome="refused")
        log.info("association-ended", association_id=visit.association_id, outcome=how, instances=visit.stored)

    def _farewell(self, visit: Visit, how: How) -> AssociationEnded:
        return AssociationEnded(
            association_id=visit.association_id,
            how=how,
            stored=visit.stored,
            refused=visit.refused,
            batches=tuple(visit.batches),
            study_refs=tuple(sorted(map(self._site_key.study_ref, visit.studies))),
            batch_study_refs=tuple(map(self._site_key.study_ref, visit.batches.values())),
            started=visit.started,
            ended=datetime.now(UTC),
        )


def _arrival(visit: Visit, command: Command, transfer_syntax: str, is_foreign: bool) -> Arrival:
    return Arrival(
        sop_class=command.sop_class,
        sop_instance=command.sop_instance,
        transfer_syntax=transfer_syntax,
        dataset_offset=len(file_header(command.sop_class, command.sop_instance, transfer_syntax)),
        received=datetime.now(UTC),
        calling_ae=visit.calling_ae,
        called_ae=visit.called_ae,
        address=visit.address,
        patient_issuer=visit.peer.patient_issuer,
        order_issuer=visit.peer.order_issuer,
        quiet=visit.peer.quiet,
        is_foreign=is_foreign or None,
    )


class Incoming:
    """An instance whose bytes go to the spool as they come; held back only until its study is known."""

    def __init__(self, spool: Spool, room: Room, visit: Visit, arrival: Arrival, max_size: int) -> None:
        self._spool = spool
        self._room = room
        self._visit = visit
        self._arrival = arrival
        self._max_size = max_size
        self._size = 0
        self._scan = StudyScan(arrival.transfer_syntax)
        self._held: list[bytes] = []
        self._recording: Recording | None = None
        self._study = ""

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set; SpoolRefused."""
        before, self._size = self._size, self._size + len(chunk)
        if self._size > self._max_size:
            raise SpoolRefused("instance-too-large")
        if self._size // _LOOK_AGAIN > before // _LOOK_AGAIN:
            self._room.check()
        key = self._scan.feed(chunk)
        if self._recording is not None:
            self._recording.write(chunk)
        elif key is None:
            self._held.append(bytes(chunk))
        else:
            self._begin(key).write(*self._held, chunk)
            self._held.clear()

    def commit(self) -> None:
        """Return when the instance is durable; SpoolRefused, or InstanceRefused when the end of it is missing."""
        if self._scan.is_cut:
            raise InstanceRefused("data-set-cut-short", CANNOT_UNDERSTAND)
        if self._recording is None:
            key = self._scan.feed(b"", last=True)
            self._begin(key or StudyKey(None)).write(*self._held)
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.commit()
            self._visit.note_stored(recording.batch_id, self._study)
            self._room.brake()

    def abandon(self) -> None:
        """The instance will not be finished: leave nothing of it."""
        if self._recording is not None:
            self._recording.abandon()
            self._recording = None

    def _begin(self, key: StudyKey) -> Recording:
        visit = self._visit
        if visit.only_study not in (None, key.study_uid):
            raise InstanceRefused("other-study", OTHER_STUDY)
        self._recording = self._spool.record(key, self._arrival, visit.association_id, lambda: batch_trace(visit))
        self._study = key.study_uid or without_study(self._arrival)
        if key.study_uid:
            visit.note_study(key.study_uid)
        return self._recording
