"""The fast receiver's association in this process, over a socket pair, before a reception that forgets nothing."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from services.dicom_ingest.adapters.association import Association
from services.dicom_ingest.adapters.association_rules import AssociationRules
from services.dicom_ingest.adapters.pacing import Paces
from services.dicom_ingest.adapters.pdus import PduLimits
from services.dicom_ingest.adapters.peers import Door, NoRegistry
from services.dicom_ingest.domain.negotiation import SERVICES, STEPS
from services.dicom_ingest.domain.step import Step, StepRules
from services.dicom_ingest.domain.step_report import Report
from services.dicom_ingest.handlers.commitment import Commitment
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.handlers.steps import Steps
from shared.identity import SiteKey
from shared.storage import MemoryStore
from tests.fuzz import wire
from tests.fuzz.data_sets import ends_early
from tests.unit.dicom_ingest.fakes import FakeBus, FakeFarewells, FakeRoom, FakeSpool

#: Short enough that a peer that falls silent costs a test nothing; seconds and bytes per second.
LIMITS = PduLimits(header_deadline=0.05, min_throughput=50_000_000, max_associate=1 << 20, max_data=16384)
KEY = SiteKey(bytes(32))
RELEASED, ABORTED, REJECTED = 6, 7, 3
#: Seconds after which a conversation hangs: however busy a machine is, it takes a hundredth of that.
_HANGS = 60.0


@dataclass
class FakeRequests:
    """Remembers requests for commitment."""

    kept: list[object] = field(default_factory=list)

    def keep(self, request: object, traceparent: str | None) -> None:
        self.kept.append(request)


@dataclass
class FakeReports:
    """Remembers reports on procedure steps."""

    kept: list[Report] = field(default_factory=list)

    @contextmanager
    def turn(self) -> Iterator[None]:
        yield

    def known(self, step_ref: str) -> Step | None:
        return next((each.step for each in reversed(self.kept) if each.step_ref == step_ref), None)

    def keep(self, report: Report) -> None:
        self.kept.append(report)


class Hall:
    """What an association hands its arrivals to, with fakes behind it."""

    def __init__(self) -> None:
        self.spool, self.requests = FakeSpool(), FakeRequests()
        reception = Reception(
            spool=self.spool,
            room=FakeRoom(),
            farewells=FakeFarewells(),
            site_key=KEY,
            largest=lambda _: 1 << 20,
        )
        self.arrive, self.store, self.leave = reception.arrive, reception.store, reception.leave
        self.ask = Commitment(requests=self.requests, site_key=KEY, remembered=lambda peer: None).begin
        self.spans = reception._spans
        self.reports = FakeReports()
        self.report = Steps(self.reports, StepRules("own", 1.0), store=MemoryStore(), bus=FakeBus(), site_key=KEY).begin


@dataclass(frozen=True)
class Outcome:
    """What came of a conversation: all that was answered, (SOP instance, data set) of what was committed, and the
    number of reports on procedure steps that were kept."""

    answered: bytes
    committed: list[tuple[str, bytes]]
    unfinished: int
    reported: int


def _answers(theirs: socket.socket) -> bytes:
    """All that is answered to a peer that closes when it was released, aborted or turned down."""
    answered = b""
    while part := theirs.recv(1 << 20):
        answered += part
        if {kind for kind, _body in wire.split_pdus(answered)} & {RELEASED, ABORTED, REJECTED}:
            with suppress(OSError):
                theirs.shutdown(socket.SHUT_WR)
    return answered


def converse(sent: bytes, *, closes: bool = True) -> Outcome:
    """Serve a peer that sends ``sent`` and then closes, or falls silent; raises what the association raises."""
    ours, theirs = socket.socketpair()
    hall = Hall()
    door = Door(registry=NoRegistry(), called=frozenset(), calling=frozenset(), most_per_ae=1)
    rules = AssociationRules(
        artim=0.05, idle=0.05, limits=LIMITS, door=door, paces=Paces(), services=SERVICES | {STEPS}
    )
    with ours, theirs, ThreadPoolExecutor(1) as listener:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        theirs.sendall(sent)
        if closes:
            theirs.shutdown(socket.SHUT_WR)
        listening = listener.submit(_answers, theirs)
        try:
            _in_time(Association(ours, "127.0.0.1", rules, hall).serve)
        finally:
            ours.shutdown(socket.SHUT_WR)
        answered = listening.result()
    assert not door._present, "the door still counts somebody who has left"
    assert not hall.spans, "the association was never told to be over"
    committed = [(each.arrival.sop_instance, each.data) for each in hall.spool.committed]
    return Outcome(answered, committed, len(hall.spool.abandoned), len(hall.reports.kept))


def _in_time(serve: Callable[[], None]) -> None:
    """Raise what it raises; AssertionError when it does not end."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            serve()
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    # One that hangs must not keep the interpreter from ending.
    threading.Thread(target=run, daemon=True).start()
    try:
        error = ended.get(timeout=_HANGS)
    except Empty:
        raise AssertionError("the association hangs") from None
    if error is not None:
        raise error


def check(sent: bytes, outcome: Outcome) -> None:
    """AssertionError unless the answers are well-formed, the last of them ends it, and each Success is true."""
    units = wire.split_pdus(outcome.answered)
    assert sum(6 + len(body) for _kind, body in units) == len(outcome.answered), "an answer is cut"
    kinds = [kind for kind, _body in units]
    if wire.A_ABORT not in [kind for kind, _body in wire.split_pdus(sent)]:
        assert kinds and kinds[-1] in (RELEASED, ABORTED, REJECTED), kinds
    successes = true_successes(sent, outcome.answered)
    assert [(told.uid, told.data) for told in successes] == outcome.committed
    told_of_steps = [status for _, status in answers(outcome.answered, wire.N_CREATE, wire.N_SET)]
    assert told_of_steps.count(0) == outcome.reported, "Success for a report that is not kept, or none for one that is"


def true_successes(sent: bytes, answered: bytes) -> list[wire.Told]:
    """The instances that were acknowledged; AssertionError when one was not wholly sent, or ends early."""
    syntaxes = accepted_syntaxes(answered)
    asked, told = wire.complete_stores(sent), store_answers(answered)
    assert len(told) <= len(asked), "more answers than requests"
    successes = []
    for request, (message_id, status) in zip(asked, told, strict=False):
        assert message_id == request.message_id.ljust(2, b"\0"), "an answer to another request"
        if status == 0:
            assert not ends_early(request.data, syntaxes[request.context]), "Success for what has no end"
            successes.append(request)
    return successes


def accepted_syntaxes(answered: bytes) -> dict[int, str]:
    """The transfer syntax of each accepted context of an A-ASSOCIATE-AC (PS3.8 table 9-18)."""
    found: dict[int, str] = {}
    for kind, body in wire.split_pdus(answered)[:1]:
        at = 68 if kind == 2 else len(body)
        while at + 4 <= len(body):
            item, length = struct.unpack_from(">BxH", body, at)
            if item == 0x21 and body[at + 6] == 0:
                found[body[at + 4]] = body[at + 12 : at + 4 + length].rstrip(b"\0").decode()
            at += 4 + length
    return found


def store_answers(answered: bytes) -> list[tuple[bytes, int]]:
    """The message that is responded to and the status of each C-STORE-RSP."""
    return answers(answered, wire.C_STORE)


def answers(answered: bytes, *requests: int) -> list[tuple[bytes, int]]:
    """The same of each response to one of these kinds of requests."""
    responses = {wire.us(0x8000 | request) for request in requests}
    found, command = [], b""
    for kind, body in wire.split_pdus(answered):
        for value in wire.read_values(body) if kind == wire.P_DATA else ():
            command += value.data
            if value.control & 1 and value.control & 2:
                told = wire.read_command(command) or {}
                command = b""
                if told.get(0x0100) in responses:
                    found.append((told[0x0120], int.from_bytes(told[0x0900], "little")))
            elif value.control & 2:
                command = b""
    return found
