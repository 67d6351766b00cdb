"""``receiver: standard``: an association on pynetdicom's own reactor, and the reference for the fast one in tests.

What pynetdicom lacks on a port that anybody can reach is added around it: caps and deadlines for PDUs, and the house's
choice of transfer syntaxes (PS3.8 sections 7 and 9.3).
"""

import socket
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, _config, dimse_messages, evt
from pynetdicom.acse import ACSE
from pynetdicom.association import MODE_ACCEPTOR
from pynetdicom.association import Association as Reactor
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.fsm import InvalidEventError
from pynetdicom.transport import AddressInformation

from services.dicom_ingest.adapters.association import Association
from services.dicom_ingest.adapters.association_rules import AssociationRules
from services.dicom_ingest.adapters.capped_socket import CappedSocket
from services.dicom_ingest.adapters.commitment_line import Line
from services.dicom_ingest.adapters.gathering import Gathering
from services.dicom_ingest.adapters.greeting import Refusal, TurnedAway
from services.dicom_ingest.adapters.receiving import ReceivingFile
from services.dicom_ingest.adapters.standard_contexts import decided, supported
from services.dicom_ingest.adapters.standard_requests import serve
from services.dicom_ingest.adapters.standard_steps import is_report, respond
from services.dicom_ingest.adapters.tls_peer import certificate_of
from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain import part10
from services.dicom_ingest.domain.command import Command, InstanceRefused
from services.dicom_ingest.domain.commitment import WELL_KNOWN_INSTANCE
from services.dicom_ingest.domain.negotiation import COMMITMENT, is_identifier
from services.dicom_ingest.domain.peers import ANYBODY, Caller, Peer
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports import How, Incoming, Receiver, Room
from shared.errors import CausewayError, answer
from shared.giving_way import Progress


def configure(folder: Path, room: Room, largest: Callable[[str], int]) -> None:
    """Have pynetdicom write each data set to a file in ``folder`` as it comes, and take the UIDs that we take."""
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.VALIDATORS["UI"] = lambda uid: (is_identifier(uid), "no identifier")
    # Plain bytes stay on the spool's disk, and go with the directory of a dead process.
    dimse_messages.NamedTemporaryFile = lambda **_options: ReceivingFile(folder, room, largest)


class StandardAssociation:
    """Serves one connection to its end on the thread that calls ``serve``; the same face as ``Association``."""

    def __init__(self, connection: socket.socket, address: str, rules: AssociationRules, reception: Receiver) -> None:
        self._socket = connection
        self._address = address
        self._rules = rules
        self._reception = reception
        self.services = rules.services
        self.visit: Visit | None = None
        self.peer: Peer = ANYBODY
        self._entered: str | None = None
        self.progress = Progress(rules.limits.min_throughput)
        self.greeted: Callable[[Progress, bool], object] = lambda *_: None

    def refuse(self, refusal: Refusal) -> None:
        """Hear the greeting and turn it down."""
        Association(self._socket, self._address, self._rules, self._reception).refuse(refusal)

    def serve(self) -> None:
        """Until the peer releases, aborts, disappears, or breaks a rule."""
        try:
            begun = self._begin()
            if begun is not None:
                self._run(*begun)
        finally:
            self._rules.greetings.give(self._socket)

    def _begin(self) -> tuple["_Reactor", CappedSocket] | None:
        """Hear the greeting; pynetdicom would hold a reactor for as long as that may take, even without a peer."""
        hearing = Association(self._socket, self._address, self._rules, self._reception)
        hearing.greeted = self._greeted
        greeting = hearing.hear_greeting()
        if greeting is None:
            return None
        reactor = _Reactor(_application_entity(self._rules), self)
        capped = CappedSocket(reactor, self._socket, self._rules.limits, greeting.body, self.progress)
        reactor.set_socket(capped)
        return reactor, capped

    def _greeted(self, progress: Progress, is_registered: bool) -> None:
        self.progress = progress
        self.greeted(progress, is_registered)

    def _run(self, reactor: "_Reactor", capped: CappedSocket) -> None:
        try:
            reactor.start()
            reactor.join()
        finally:
            _forget_unfinished(reactor)
            if self._entered is not None:
                self._rules.door.leave(self._entered)
            if reactor.line is not None:
                reactor.line.close()
            if self.visit is not None:
                self._reception.leave(self.visit, _how(reactor, capped))

    def enter(self, greeting: Any) -> Peer:
        """Who sent an A-ASSOCIATE primitive; TurnedAway."""
        calling, called = greeting.calling_ae_title.strip(), greeting.called_ae_title.strip()
        caller = Caller(calling, called, self._address, certificate_of(self._socket))
        self.peer = self._rules.door.enter(caller, str(greeting.application_context_name))
        self._entered = calling
        return self.peer

    def welcome(self, greeting: Any) -> None:
        """The association is established, and what it was asked for with is not kept."""
        self._rules.greetings.give(self._socket)
        calling, called = greeting.calling_ae_title.strip(), greeting.called_ae_title.strip()
        self.visit = Visit(calling, called, self._address, self.peer)
        self._reception.arrive(self.visit)

    def store(self, event: evt.Event) -> Dataset:
        """Make the instance durable and answer."""
        request, context = event.request, event.context
        command = Command(
            dimse.C_STORE,
            request.MessageID,
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            True,
        )
        response = Dataset()
        response.Status = dimse.SUCCESS
        try:
            self._take(command, str(context.abstract_syntax), str(context.transfer_syntax), request._dataset_file)
        except CausewayError as error:
            if self.visit is not None:
                self.visit.refused += 1
            response.Status = error.status if isinstance(error, InstanceRefused) else answer(error).dicom
            response.ErrorComment = error.reason
        return response

    def ask(self, event: evt.Event) -> tuple[int, None]:
        """Make a request for commitment durable and answer."""
        request, context = event.request, event.context
        sop_class, sop_instance = request.RequestedSOPClassUID or "", request.RequestedSOPInstanceUID or ""
        action = request.ActionTypeID or 0
        command = Command(dimse.N_ACTION, request.MessageID, str(sop_class), str(sop_instance), True, action)
        try:
            if self.visit is None:
                raise InstanceRefused("no-association", dimse.CANNOT_UNDERSTAND)
            line = event.assoc.line or Line(context.context_id, str(context.transfer_syntax), event.assoc.report)
            incoming = self._reception.ask(
                self.visit, command, str(context.abstract_syntax), str(context.transfer_syntax), line
            )
            event.assoc.line = line
            incoming.write(memoryview(request.ActionInformation.getvalue() if request.ActionInformation else b""))
            incoming.commit()
        except CausewayError as error:
            return (error.status if isinstance(error, InstanceRefused) else answer(error).dicom), None
        return dimse.SUCCESS, None

    def begin_report(self, command: Command, abstract_syntax: str, transfer_syntax: str) -> Incoming:
        """Begin to take a report on a procedure step."""
        if self.visit is None:
            raise InstanceRefused("no-association", dimse.CANNOT_UNDERSTAND)
        return self._reception.report(self.visit, command, abstract_syntax, transfer_syntax)

    def _take(self, command: Command, abstract_syntax: str, transfer_syntax: str, file: ReceivingFile | None) -> None:
        if self.visit is None or file is None:
            raise InstanceRefused("no-data-set" if self.visit else "no-association", dimse.CANNOT_UNDERSTAND)
        incoming = self._rules.paces.keep(
            self.peer, self._reception.store(self.visit, command, abstract_syntax, transfer_syntax), self._socket
        )
        try:
            for chunk in file.data_set():
                incoming.write(chunk)
            incoming.commit()
        except BaseException:
            incoming.abandon()
            raise


def _forget_unfinished(reactor: Reactor) -> None:
    """pynetdicom removes the file of an instance that it handed over, not that of one that was cut off."""
    file = getattr(reactor.dimse.message, "_data_set_file", None)
    if file is not None:
        file.close()


def _application_entity(rules: AssociationRules) -> AE:
    entity = AE("CAUSEWAY")
    entity.acse_timeout = rules.artim
    entity.dimse_timeout = entity.network_timeout = rules.idle
    entity.maximum_pdu_size = rules.limits.max_data
    entity.maximum_associations = 1 << 16  # the listener counts them
    entity.implementation_class_uid = part10.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = part10.IMPLEMENTATION_VERSION
    return entity


def _how(reactor: Reactor, capped: CappedSocket) -> How:
    if reactor.is_released:
        return "released"
    return "aborted" if capped.was_aborted else "lost"


class _Reactor(Reactor):
    """An acceptor that asks the house whom to welcome, and takes C-STORE of any class that it has accepted."""

    def __init__(self, entity: AE, host: StandardAssociation) -> None:
        super().__init__(entity, MODE_ACCEPTOR)
        self.host = host
        self.acse = _Negotiation(self)
        self.acceptor.maximum_length = entity.maximum_pdu_size
        self.acceptor.ae_title = entity.ae_title
        self.acceptor.implementation_class_uid = entity.implementation_class_uid
        self.acceptor.implementation_version_name = entity.implementation_version_name
        self.acceptor.address_info = self.requestor.address_info = AddressInformation("127.0.0.1", 0)
        self._server = None
        self.line: Line | None = None
        self._send, self._sending = self.dimse.send_msg, threading.Lock()
        self.dimse.send_msg = self._send_whole
        self.bind(evt.EVT_C_STORE, host.store)
        self.bind(evt.EVT_N_ACTION, host.ask)
        self.bind(evt.EVT_ASYNC_OPS, lambda event: (1, 1))
        self.dimse.receive_primitive = Gathering(self, host.progress.finish).take
        self._run_provider, self.dul.run = self.dul.run, self._run_to_the_end

    def report(self) -> None:
        """Send what the line has to tell, on the thread that tells it.

        Within a message of the peer's it waits for the end of that: the peer may take no request before its answer.
        """
        line = self.line
        if line is None or self.dimse.message is not None:
            return
        for report in line.take():
            request = N_EVENT_REPORT()
            request.MessageID, request.EventTypeID = report.message_id, report.event_type
            request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = COMMITMENT, WELL_KNOWN_INSTANCE
            request.EventInformation = BytesIO(report.information)
            self.dimse.send_msg(request, line.context_id)

    def _run_to_the_end(self) -> None:
        """Where pynetdicom's machine has no state for what happens, such as an answer after an abort, it is over."""
        try:
            self._run_provider()
        except InvalidEventError:
            self.is_aborted, self.is_established = True, False
            self._kill = self.dul._kill_thread = True

    def _send_whole(self, primitive: Any, context_id: int) -> None:
        """The fragments of two messages must not mingle (PS3.8 annex E)."""
        with self._sending:
            self._send(primitive, context_id)

    def _serve_request(self, msg: Any, context_id: int) -> None:
        self._serve_one(msg, context_id)
        self.report()

    def _serve_one(self, msg: Any, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if isinstance(msg, N_EVENT_REPORT) and msg.MessageIDBeingRespondedTo is not None:
            if self.line is not None:
                self.line.answered(msg.MessageIDBeingRespondedTo, msg.Status or 0)
        elif is_report(msg, context):
            self.dimse.send_msg(respond(msg, context, self.host.begin_report), context_id)
        elif not serve(self, msg, context):
            super()._serve_request(msg, context_id)


class _Negotiation(ACSE):
    """The house's decisions in place of pynetdicom's."""

    def _negotiate_as_acceptor(self) -> None:
        host, greeting = self.assoc.host, self.requestor.primitive
        try:
            peer = host.enter(greeting)
        except TurnedAway as turned:
            self.send_reject(turned.refusal.result, turned.refusal.source, turned.refusal.reason)
            self.assoc.kill()
            return
        if peer.idle is not None:
            self.assoc.network_timeout = self.assoc.dimse_timeout = peer.idle
        decisions = [decided(context, peer, host.services) for context in greeting.presentation_context_definition_list]
        self.acceptor.supported_contexts = supported(decisions)
        super()._negotiate_as_acceptor()
        if self.assoc.is_established:
            host.welcome(greeting)
