"""Protocol data units from a socket: every one with a deadline, a length cap and bounded memory (PS3.8 section 9.3)."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from services.dicom_ingest.adapters.deadlines import Deadlines, Late
from shared.errors import CausewayError
from shared.giving_way import Progress

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 0x04, 0x05, 0x06, 0x07
_AFTER_GREETING = frozenset({P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT})

_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
#: What a connection gets before anything is known of it, bytes.
_STRANGERS_BUFFER = 4096
#: No more than this is taken before it is known what comes: of a long PDU it would have to be moved, bytes.
_AHEAD = 16 * 1024
#: The part of an A-ASSOCIATE-RQ that has one size: version and AE titles (PS3.8 table 9-11), bytes.
FIXED_PART = 68


class PeerLost(CausewayError):
    """The peer closed the connection, or the network did."""

    def __init__(self) -> None:
        super().__init__("peer-lost")


class PeerTooSlow(CausewayError):
    """A deadline passed: ``reason`` says which."""


class BadPdu(CausewayError):
    """What arrived breaks the protocol; ``code`` is the reason of the A-ABORT (PS3.8 table 9-26)."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class PduLimits:
    """Seconds, bytes and bytes per second that a peer must keep to."""

    header_deadline: float
    min_throughput: int
    max_associate: int
    max_data: int

    def cap(self, kind: int) -> int:
        """The longest body of a PDU of this kind."""
        if kind == P_DATA_TF:
            return self.max_data
        if kind == A_ASSOCIATE_RQ:
            return self.max_associate
        if kind in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
            return 4
        raise BadPdu("unrecognized-pdu", 1)


class PduStream:
    """Reads PDUs; a body is a view into one buffer and is valid until the next is asked for."""

    def __init__(self, connection: socket.socket, limits: PduLimits) -> None:
        # Half of the shortest deadline there is: most waits need no other timeout.
        self._deadlines = Deadlines(connection, limits.header_deadline / 2)
        self._limits = limits
        self.progress = Progress(limits.min_throughput)
        self._buffer = bytearray(_STRANGERS_BUFFER)
        self._start = self._end = 0

    def greeting(self, patience: float, look: Callable[[memoryview, int], None]) -> memoryview:
        """The body of an A-ASSOCIATE-RQ.

        ``look`` sees its fixed part and its length first, and may raise before anything more is read.
        """
        length = self._begin(patience, {A_ASSOCIATE_RQ})[1]
        deadline = time.monotonic() + self._allowed(length)
        self._need(min(length, FIXED_PART), deadline, "pdu-body")
        look(memoryview(self._buffer)[self._start : self._start + min(length, FIXED_PART)], length)
        self._need(length, deadline, "pdu-body")
        self._start += length
        return memoryview(self._buffer)[self._start - length : self._start]

    def let_in(self) -> Progress:
        """The peer has said who it is; from now on it has to get on."""
        self.progress = Progress(self._limits.min_throughput)
        return self.progress

    def expect_data(self) -> None:
        """The peer was let in: make room for its P-DATA."""
        unread = bytes(memoryview(self._buffer)[self._start : self._end])
        self._buffer = bytearray(2 * (self._limits.max_data + _HEADER.size))
        self._buffer[: len(unread)] = unread
        self._start, self._end = 0, len(unread)

    def drain(self, seconds: float) -> None:
        """Drop what comes until the peer closes, but not for long."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(CausewayError):
            while True:
                self._start = self._end = 0
                self._receive(deadline, "drain")

    def next(self, patience: float) -> tuple[int, memoryview]:
        """The kind and body of the next PDU, whose first byte must come within ``patience`` seconds.

        A second greeting is refused by its header (PS3.8 table 9-10, AA-8), before it costs anything.
        """
        kind, length = self._begin(patience, _AFTER_GREETING)
        self._need(length, time.monotonic() + self._allowed(length), "pdu-body")
        self._start += length
        return kind, memoryview(self._buffer)[self._start - length : self._start]

    def _begin(self, patience: float, kinds: Collection[int]) -> tuple[int, int]:
        """Kind and length of the next PDU, of one of these kinds; its body is still to come."""
        if self._start == self._end:
            self._start = self._end = 0
            self._receive(time.monotonic() + patience, "idle")
        self._need(_HEADER.size, time.monotonic() + self._limits.header_deadline, "pdu-header")
        kind, length = _HEADER.unpack_from(self._buffer, self._start)
        if length > self._limits.cap(kind):
            raise BadPdu("pdu-too-long", 6)
        if kind not in kinds:
            raise BadPdu("unexpected-pdu", 2)
        self._start += _HEADER.size
        return kind, length

    def _allowed(self, length: int) -> float:
        """Seconds for a body: the least throughput counts inside a PDU only."""
        return self._limits.header_deadline + length / self._limits.min_throughput

    def _need(self, count: int, deadline: float, what: str) -> None:
        if self._end - self._start < count and self._start + count > len(self._buffer):
            self._make_room()
        while self._end - self._start < count:
            if self._end == len(self._buffer):
                self._make_room()
            self._receive(deadline, what, self._start + count)

    def _make_room(self) -> None:
        """Move what is unread to the front, of a buffer twice as large if it is full: by what came, not by a claim."""
        unread = bytes(memoryview(self._buffer)[self._start : self._end])
        if len(unread) == len(self._buffer):
            self._buffer = bytearray(2 * len(self._buffer))
        self._buffer[: len(unread)] = unread
        self._start, self._end = 0, len(unread)

    def _receive(self, deadline: float, what: str, until: int | None = None) -> None:
        """Take what there is, but little, or all up to where ``until`` is in the buffer, as far as there is room."""
        room = memoryview(self._buffer)[self._end : until or self._end + _AHEAD]
        self.progress.wait()
        try:
            count = self._deadlines.receive(room, deadline, whole=until is not None)
        except Late:
            raise PeerTooSlow(what) from None
        except OSError:
            raise PeerLost from None
        if count == 0:
            raise PeerLost
        self.progress.bring(count)
        self._end += count


@dataclass(frozen=True, slots=True)
class Fragment:
    """One presentation data value (PS3.8 section 9.3.5.1 and annex E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


def fragments(body: memoryview) -> Iterator[Fragment]:
    """The presentation data values of a P-DATA-TF body; ``BadPdu`` where their lengths do not add up."""
    at = 0
    while at < len(body):
        if at + _PDV.size > len(body):
            raise BadPdu("pdv-cut", 6)
        length, context_id, control = _PDV.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise BadPdu("pdv-length", 6)
        yield Fragment(context_id, bool(control & 1), bool(control & 2), body[at + _PDV.size : end])
        at = end


def data_pdus(context_id: int, content: bytes, longest: int, *, is_command: bool = True) -> Iterator[bytes]:
    """A command or a data set as P-DATA-TF PDUs whose bodies are at most ``longest`` bytes (0: no limit)."""
    room = (longest or 1 << 20) - _PDV.size
    for at in range(0, len(content), room):
        piece = content[at : at + room]
        control = int(is_command) | (2 if at + room >= len(content) else 0)
        yield _HEADER.pack(P_DATA_TF, len(piece) + _PDV.size) + _PDV.pack(len(piece) + 2, context_id, control) + piece


def short_pdu(kind: int, tail: bytes = b"\0\0\0\0") -> bytes:
    """A PDU of four bytes: release, abort or reject."""
    return _HEADER.pack(kind, 4) + tail
