"""Protocol data units from a socket: every one with a deadline, a length cap and bounded memory (PS3.8 section 9.3)."""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import CausewayError

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 0x04, 0x05, 0x06, 0x07

_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")


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
        self._socket = connection
        self._limits = limits
        self._buffer = bytearray(2 * (limits.max_data + _HEADER.size))
        self._start = self._end = 0

    def next(self, patience: float) -> tuple[int, memoryview]:
        """The kind and body of the next PDU, whose first byte must come within ``patience`` seconds."""
        if self._start == self._end:
            self._start = self._end = 0
            self._receive(time.monotonic() + patience, "idle")
        self._need(_HEADER.size, time.monotonic() + self._limits.header_deadline, "pdu-header")
        kind, length = _HEADER.unpack_from(self._buffer, self._start)
        if length > self._limits.cap(kind):
            raise BadPdu("pdu-too-long", 6)
        self._start += _HEADER.size
        allowed = self._limits.header_deadline + length / self._limits.min_throughput
        self._need(length, time.monotonic() + allowed, "pdu-body")
        self._start += length
        return kind, memoryview(self._buffer)[self._start - length : self._start]

    def _need(self, count: int, deadline: float, what: str) -> None:
        if self._end - self._start < count and self._start + count > len(self._buffer):
            self._make_room(count)
        while self._end - self._start < count:
            self._receive(deadline, what)

    def _make_room(self, count: int) -> None:
        """Move what is unread to the front, of a larger buffer where an A-ASSOCIATE needs it."""
        unread = bytes(memoryview(self._buffer)[self._start : self._end])
        if count > len(self._buffer):
            self._buffer = bytearray(count + len(self._buffer))
        self._buffer[: len(unread)] = unread
        self._start, self._end = 0, len(unread)

    def _receive(self, deadline: float, what: str) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise PeerTooSlow(what)
        try:
            self._socket.settimeout(remaining)
            count = self._socket.recv_into(memoryview(self._buffer)[self._end :])
        except TimeoutError:
            raise PeerTooSlow(what) from None
        except OSError:
            raise PeerLost from None
        if count == 0:
            raise PeerLost
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


def data_pdus(context_id: int, command: bytes, longest: int) -> Iterator[bytes]:
    """``command`` as P-DATA-TF PDUs whose bodies are at most ``longest`` bytes (0: no limit)."""
    room = (longest or 1 << 20) - _PDV.size
    for at in range(0, len(command), room):
        piece = command[at : at + room]
        control = 1 | (2 if at + room >= len(command) else 0)
        yield _HEADER.pack(P_DATA_TF, len(piece) + _PDV.size) + _PDV.pack(len(piece) + 2, context_id, control) + piece


def short_pdu(kind: int, tail: bytes = b"\0\0\0\0") -> bytes:
    """A PDU of four bytes: release, abort or reject."""
    return _HEADER.pack(kind, 4) + tail
