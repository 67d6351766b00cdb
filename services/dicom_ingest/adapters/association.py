"""One association as acceptor: greeting, requests, release (the acceptor's states of PS3.8 section 9.2).

pynetdicom's classes encode and decode the greeting. Its reactor is not used: it polls, gathers each data set in memory
and knows neither deadlines nor caps (docs/adr/0006-own-association-loop.md).
"""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from services.dicom_ingest.adapters import greeting as greetings
from services.dicom_ingest.adapters import pdus
from services.dicom_ingest.adapters.association_rules import AssociationRules
from services.dicom_ingest.adapters.commitment_line import LOOK_EVERY, Line
from services.dicom_ingest.adapters.greeting import Greeting, Refusal, TurnedAway
from services.dicom_ingest.adapters.pdus import BadPdu, Fragment, PduStream, PeerLost, PeerTooSlow
from services.dicom_ingest.adapters.tls_peer import certificate_of
from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain.command import Command, InstanceRefused, MalformedCommand
from services.dicom_ingest.domain.incomplete import status_without_data
from services.dicom_ingest.domain.negotiation import Decision, accepted, decide
from services.dicom_ingest.domain.peers import Caller
from services.dicom_ingest.domain.step import named
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports import How, Incoming, Receiver
from shared.errors import CausewayError, answer
from shared.giving_way import Progress

_LINGER = 2.0
T = TypeVar("T")


class Association:
    """Serves one connection to its end on the thread that calls ``serve``."""

    def __init__(self, connection: socket.socket, address: str, rules: AssociationRules, reception: Receiver) -> None:
        self._socket = connection
        self._address = address
        self._rules = rules
        self._reception = reception
        self._stream = PduStream(connection, rules.limits)
        self._contexts: dict[int, Decision] = {}
        self._longest_reply = 0
        self._command = bytearray()
        self._request: Command | None = None
        self._request_context = 0
        self._incoming: Incoming | None = None
        self._failure: CausewayError | None = None
        self._line: Line | None = None
        self._is_registered = False
        self.greeted: Callable[[Progress, bool], object] = lambda *_: None

    def refuse(self, refusal: Refusal) -> None:
        """Hear the greeting and turn it down."""

        def turn_away(_fixed: memoryview, _length: int) -> None:
            raise TurnedAway(refusal)

        self._hear(self._rules.limits.header_deadline, turn_away)

    def hear_greeting(self) -> Greeting | None:
        """The A-ASSOCIATE-RQ; None when there is none, or its sender was turned away by its titles."""
        greeting = self._hear(self._rules.artim, self._look)
        if greeting is not None:
            self.greeted(self._stream.let_in(), self._is_registered)
        return greeting

    def serve(self) -> None:
        """Until the peer releases, aborts, disappears, or breaks a rule."""
        visit = self._enter()
        if visit is not None:
            try:
                self._host(visit)
            finally:
                self._rules.door.leave(visit.calling_ae)

    def _enter(self) -> Visit | None:
        """Hear the greeting and answer it; it is not kept for as long as the association lasts."""
        try:
            greeting = self.hear_greeting()
            return self._answering(lambda: self._welcome(greeting)) if greeting is not None else None
        finally:
            self._rules.greetings.give(self._socket)

    def _hear(self, patience: float, look: Callable[[memoryview, int], None]) -> Greeting | None:
        def hear() -> Greeting:
            body = self._stream.greeting(patience, look)
            self._rules.greetings.complete(self._socket)
            greetings.check_items(body)
            return greetings.read_greeting(body)

        return self._answering(hear)

    def _answering(self, hear: Callable[[], T]) -> T | None:
        """What ``hear`` gives; None when the peer was told what was wrong instead."""
        try:
            return hear()
        except TurnedAway as turned:
            self._turn_away(turned.refusal)
        except BadPdu as error:
            self._abort(error.code)
        except (PeerLost, PeerTooSlow, OSError):
            self._abort(0)
        return None

    def _look(self, fixed: memoryview, length: int) -> None:
        """TurnedAway as soon as the titles tell it, before anything more is read, or when there is no room for more."""
        caller = self._caller(*greetings.titles(fixed))
        greetings.check_version(fixed)
        self._is_registered = bool(self._rules.door.identify(caller).ae_title)
        if length > greetings.LONG and not self._rules.greetings.take(self._socket, length):
            raise TurnedAway(greetings.LOCAL_LIMIT_EXCEEDED)

    def _caller(self, calling_ae: str, called_ae: str) -> Caller:
        return Caller(calling_ae, called_ae, self._address, certificate_of(self._socket))

    def _welcome(self, greeting: Greeting) -> Visit:
        """Answer the greeting; TurnedAway, or the visit of an association that must ``leave`` the door."""
        caller = self._caller(greeting.calling_ae, greeting.called_ae)
        peer = self._rules.door.enter(caller, greeting.application_context)
        self._stream.expect_data()
        try:
            decisions = tuple(decide(proposal, peer.takes, self._rules.services) for proposal in greeting.proposals)
            self._contexts = dict(accepted(decisions))
            self._longest_reply = greeting.longest_pdu
            self._socket.sendall(greetings.welcome(greeting, decisions, self._rules.limits.max_data))
        except BaseException:
            self._rules.door.leave(caller.calling_ae)
            raise
        return Visit(caller.calling_ae, caller.called_ae, caller.address, peer)

    def _host(self, visit: Visit) -> None:
        self._reception.arrive(visit)
        how: How = "lost"
        try:
            how = self._converse(visit)
        except BadPdu as error:
            self._abort(error.code)
        except MalformedCommand:
            self._abort(6)
        except (PeerLost, PeerTooSlow, OSError):
            self._abort(0)
        finally:
            if self._incoming is not None:
                self._incoming.abandon()
            if self._line is not None:
                self._line.close()
            self._reception.leave(visit, how)

    def _converse(self, visit: Visit) -> How:
        while True:
            kind, body = self._next(visit.peer.idle or self._rules.idle)
            if kind == pdus.P_DATA_TF:
                for fragment in pdus.fragments(body):
                    self._take(visit, fragment)
            elif kind == pdus.A_RELEASE_RQ:
                self._socket.sendall(pdus.short_pdu(pdus.A_RELEASE_RP))
                self._linger()
                return "released"
            elif kind == pdus.A_ABORT:
                return "aborted"
            else:
                raise BadPdu("unexpected-pdu", 2)

    def _next(self, idle: float) -> tuple[int, memoryview]:
        """The next PDU; where a commitment was asked for, a report may have to be sent before it comes.

        Not within a message of the peer's: it may take no request before it has its answer.
        """
        deadline = time.monotonic() + idle
        within = self._request is not None or bool(self._command)
        while self._line is not None and not within and time.monotonic() < deadline:
            for pdu in self._line.pdus(self._longest_reply):
                self._socket.sendall(pdu)
            try:
                return self._stream.next(LOOK_EVERY)
            except PeerTooSlow as slow:
                if slow.reason != "idle":
                    raise
        return self._stream.next(max(0.0, deadline - time.monotonic()))

    def _take(self, visit: Visit, fragment: Fragment) -> None:
        if fragment.context_id not in self._contexts:
            raise BadPdu("unknown-context", 6)
        if fragment.is_command:
            self._take_command(visit, fragment)
        elif self._request is None or fragment.context_id != self._request_context:
            raise BadPdu("stray-data", 6)
        else:
            self._take_data(visit, fragment)

    def _take_command(self, visit: Visit, fragment: Fragment) -> None:
        if self._request is not None or len(self._command) + len(fragment.data) > dimse.MAX_COMMAND:
            raise BadPdu("command-in-command", 6)
        self._command += fragment.data
        if not fragment.is_last:
            return
        request = named(dimse.parse(bytes(self._command)))
        self._command.clear()
        self._request_context = fragment.context_id
        if request.has_data_set:
            self._request = request
            self._open(visit, request)
        elif request.is_response:
            self._answered(request)
        elif request.field != dimse.C_CANCEL:
            visit.refused += request.field == dimse.C_STORE
            abstract_syntax = self._contexts[fragment.context_id].abstract_syntax
            self._reply(request, status_without_data(request.field, abstract_syntax))

    def _open(self, visit: Visit, request: Command) -> None:
        context = self._contexts[self._request_context]
        self._failure = None
        if not request.is_response:
            try:
                self._incoming = self._begin(visit, request, context)
            except CausewayError as error:
                self._fail(error)

    def _begin(self, visit: Visit, request: Command, context: Decision) -> Incoming:
        if request.field == dimse.C_STORE:
            stored = self._reception.store(visit, request, context.abstract_syntax, context.transfer_syntax)
            return self._rules.paces.keep(visit.peer, stored, self._socket)
        if request.field in (dimse.N_CREATE, dimse.N_SET):
            return self._reception.report(visit, request, context.abstract_syntax, context.transfer_syntax)
        if request.field != dimse.N_ACTION:
            raise InstanceRefused("unrecognized-operation", dimse.UNRECOGNIZED_OPERATION)
        line = self._line or Line(context.context_id, context.transfer_syntax)
        asked = self._reception.ask(visit, request, context.abstract_syntax, context.transfer_syntax, line)
        self._line = line
        return asked

    def _answered(self, response: Command) -> None:
        if self._line is not None:
            self._line.answered(response.responded_to, response.status)
        self._stream.progress.finish()

    def _take_data(self, visit: Visit, fragment: Fragment) -> None:
        """Pass the bytes on; after a failure the rest is heard out and dropped, so that the answer can be given."""
        if self._incoming is not None:
            try:
                self._incoming.write(fragment.data)
            except CausewayError as error:
                self._fail(error)
        if fragment.is_last and self._request is not None:
            self._finish(visit, self._request)

    def _finish(self, visit: Visit, request: Command) -> None:
        if self._incoming is not None:
            try:
                self._incoming.commit()
            except CausewayError as error:
                self._fail(error)
        self._incoming = self._request = None
        if request.is_response:
            self._answered(request)
        elif self._failure is None:
            self._reply(request, dimse.SUCCESS)
        else:
            self._refuse(visit, request, self._failure)

    def _refuse(self, visit: Visit, request: Command, told: CausewayError) -> None:
        visit.refused += request.field == dimse.C_STORE
        if isinstance(told, InstanceRefused):
            self._reply(request, told.status, told.comment, told.error_id)
        else:
            self._reply(request, answer(told).dicom, told.reason)

    def _fail(self, error: CausewayError) -> None:
        """Remember a refusal until the data set is through."""
        self._failure = error
        if self._incoming is not None:
            self._incoming.abandon()
        self._incoming = None

    def _reply(self, request: Command, status: int, comment: str = "", error_id: int = 0) -> None:
        encoded = dimse.respond(request, status, comment, error_id)
        for pdu in pdus.data_pdus(self._request_context, encoded, self._longest_reply):
            self._socket.sendall(pdu)
        self._stream.progress.finish()

    def _turn_away(self, refusal: Refusal) -> None:
        with contextlib.suppress(OSError):
            self._socket.settimeout(_LINGER)
            self._socket.sendall(refusal.encode())
            self._linger()

    def _abort(self, code: int) -> None:
        """Whoever broke a rule may be sending still: closed on that, the connection is reset, and the reason lost."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(_LINGER)
            self._socket.sendall(greetings.abort(code))
            if code:
                self._linger()

    def _linger(self) -> None:
        """Let the peer close first, as the standard wants, but not for long."""
        self._stream.drain(_LINGER)
