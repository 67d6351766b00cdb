"""pynetdicom's socket with what it lacks: a cap by type and a deadline for every PDU."""

import contextlib
import socket
import struct
import time
from typing import Any

from pynetdicom.transport import AssociationSocket

from services.dicom_ingest.adapters import greeting as greetings
from services.dicom_ingest.adapters.pdus import A_ABORT, A_ASSOCIATE_RQ, A_RELEASE_RQ, BadPdu, PduLimits
from shared.giving_way import Progress

_HEADER = struct.Struct(">BxI")
A_ASSOCIATE_AC = b"\x02"


class PduRefused(OSError):
    """What pynetdicom takes for a lost connection."""


class CappedSocket(AssociationSocket):
    """pynetdicom asks for the six bytes of a header, then for the body that the header tells of."""

    def __init__(
        self, reactor: Any, connection: socket.socket, limits: PduLimits, greeting: memoryview, progress: Progress
    ) -> None:
        """``greeting`` is the body of the A-ASSOCIATE-RQ, which was read already; ``progress`` is told what comes."""
        super().__init__(reactor, client_socket=connection)
        self._limits = limits
        self._progress = progress
        self._body: int | None = None
        self._asked = memoryview(bytes(greeting[: greetings.FIXED_PART]))
        told = greetings.plain(greeting)
        self._greeting = bytearray(_HEADER.pack(A_ASSOCIATE_RQ, len(told))) + told
        self.was_aborted = self._is_over = False

    @property
    def ready(self) -> bool:
        """Whether something can be read without waiting."""
        is_ready = bool(self._greeting) or bool(super().ready)
        if not is_ready:
            self._progress.wait()
        return is_ready

    def send(self, bytestream: bytes) -> None:
        """Send a PDU; the answer to the greeting has the titles that came, which pynetdicom does not know."""
        is_accept = bytestream[:1] == A_ASSOCIATE_AC
        super().send(greetings.echoing(bytestream, self._asked) if is_accept else bytestream)

    def recv(self, nr_bytes: int) -> bytearray:
        """All of ``nr_bytes``, or what came before the peer closed; PduRefused beyond a cap or a deadline."""
        if self._greeting:
            taken, self._greeting = self._greeting[:nr_bytes], self._greeting[nr_bytes:]
            return taken
        if self._body is None:
            header = self._receive(_HEADER.size, self._limits.header_deadline)
            if len(header) == _HEADER.size:
                self._body = self._checked(header)
            return header
        length, self._body = self._body, None
        return self._receive(length, self._limits.header_deadline + length / self._limits.min_throughput)

    def _checked(self, header: bytearray) -> int:
        kind, length = _HEADER.unpack(header)
        self.was_aborted |= kind == A_ABORT
        self._is_over |= kind in (A_RELEASE_RQ, A_ABORT)
        try:
            if length > self._limits.cap(kind):
                raise BadPdu("pdu-too-long", 6)
            if kind == A_ASSOCIATE_RQ:  # the greeting was read already
                raise BadPdu("unexpected-pdu", 2)
        except BadPdu as error:
            self._abort(error.code)
            raise PduRefused from None
        return int(length)

    def _receive(self, count: int, seconds: float) -> bytearray:
        received, deadline = bytearray(count), time.monotonic() + seconds
        filled = 0
        while filled < count:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._abort(0)
                raise PduRefused
            self.socket.settimeout(remaining)
            self._progress.wait()
            with contextlib.suppress(TimeoutError):
                taken = self.socket.recv_into(memoryview(received)[filled:])
                if not taken:
                    self._lost()
                    return received[:filled]
                self._progress.bring(taken)
                filled += taken
        return received

    def _lost(self) -> None:
        """The peer is gone, or we have cut it off for another: then it hears so, for which pynetdicom has no words."""
        if not self._is_over:
            self._abort(0)

    def _abort(self, code: int) -> None:
        with contextlib.suppress(OSError):
            self.socket.settimeout(1.0)
            self.socket.sendall(greetings.abort(code))
