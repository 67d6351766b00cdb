"""C-STORE as a sender: data sets go out byte for byte, in the syntax they have (PS3.4 annex B, PS3.8).

pynetdicom makes and reads the greeting; its own C-STORE would decode and encode each data set again.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import MaximumLengthSubItem
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from cli.dicom_files import Outgoing

IMPLEMENTATION = "2.25.270695996825855179949881587723571202391"
#: One association proposes at most so many contexts: their ids are the odd numbers of one byte (PS3.8 section 9.3.2.2).
MAX_CONTEXTS = 128
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_LONGEST_PDU = 256 * 1024
_READ = 1024 * 1024
_ELEMENT = struct.Struct("<HHI")
_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">BxIIBB")
_REASONS = {(1, 7): "it does not know this called AE title", (1, 3): "it does not know this calling AE title"}

Pair = tuple[str, str]


class ConnectionLost(Exception):
    """The peer cannot be reached, hung up, or aborted; the text says which."""


class Rejected(ConnectionLost):
    """The peer turned the association down; ``is_final`` when asking again is no use."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


@dataclass(frozen=True)
class Status:
    """A C-STORE status (PS3.4 annex B.2.3) and the peer's comment."""

    code: int
    comment: str = ""

    @property
    def is_success(self) -> bool:
        """Stored, with or without a warning."""
        return self.code == 0x0000 or self.code & 0xF000 == 0xB000


class Sender:
    """One association for data sets of these pairs of SOP class and transfer syntax."""

    def __init__(self, host: str, port: int, pairs: Sequence[Pair], calling: str, called: str, timeout: float) -> None:
        """Connect and associate; ConnectionLost when that fails."""
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout)
        except OSError as error:
            raise ConnectionLost(f"cannot connect to {host}:{port}: {error.strerror or error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._messages = 0
        self._contexts: dict[Pair, int] = {}
        self._room = _LONGEST_PDU
        try:
            self._associate(pairs, calling, called)
        except BaseException:
            self._socket.close()
            raise

    def accepts(self, outgoing: Outgoing) -> bool:
        """Whether the peer takes this SOP class in this syntax."""
        return (outgoing.sop_class, outgoing.transfer_syntax) in self._contexts

    def store(self, outgoing: Outgoing) -> Status:
        """Send one data set and wait for the answer; ConnectionLost, OSError when the file cannot be read."""
        context = self._contexts[outgoing.sop_class, outgoing.transfer_syntax]
        self._messages = self._messages % 0xFFFF + 1
        command = _request(outgoing, self._messages)
        with outgoing.path.open("rb", buffering=0) as file:
            first = [_PDV.pack(4, len(command) + 6, len(command) + 2, context, 3), command]
            try:
                for pieces in self._data(file.fileno(), outgoing, context):
                    self._send([*first, *pieces])
                    first = []
                return self._answer()
            except TimeoutError:
                raise ConnectionLost("the peer does not answer") from None
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {error.strerror or error}") from None

    def release(self) -> None:
        """End the association in order."""
        try:
            self._socket.sendall(_HEADER.pack(5, 4) + bytes(4))
            self._pdu()
        except (ConnectionLost, OSError):
            pass
        finally:
            self._socket.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _associate(self, pairs: Sequence[Pair], calling: str, called: str) -> None:
        ids = {2 * number + 1: pair for number, pair in enumerate(pairs)}
        try:
            self._socket.sendall(_greeting(ids, calling, called))
            kind, body = self._pdu()
        except OSError as error:
            raise ConnectionLost(f"no association: {error.strerror or error}") from None
        if kind == 3:
            result, source, reason = body[1], body[2], body[3]
            told = _REASONS.get((source, reason), f"source {source}, reason {reason}")
            raise Rejected(f"association rejected: {told}", is_final=result == 1)
        if kind != 2:
            raise ConnectionLost("the peer is no DICOM acceptor")
        answer = A_ASSOCIATE_AC()
        answer.decode(_HEADER.pack(kind, len(body)) + body)
        accepted = {item.presentation_context_id for item in answer.presentation_context if item.result == 0}
        self._contexts = {pair: number for number, pair in ids.items() if number in accepted}
        items = answer.user_information.user_data if answer.user_information else []
        longest = [item.maximum_length_received for item in items if isinstance(item, MaximumLengthSubItem)]
        self._room = min(longest[0] if longest and longest[0] else _LONGEST_PDU, _LONGEST_PDU) - 6

    def _data(self, handle: int, outgoing: Outgoing, context: int) -> Iterator[list[bytes | memoryview]]:
        """The data set as P-DATA-TF PDUs, about a mebibyte at a time."""
        step = max(1, _READ // self._room) * self._room
        at, end = outgoing.offset, outgoing.offset + outgoing.length
        while True:
            block = memoryview(os.pread(handle, min(step, end - at), at))
            if len(block) < min(step, end - at):
                raise ConnectionLost("the file became shorter while it was sent")
            at += len(block)
            pieces: list[bytes | memoryview] = []
            for start in range(0, len(block) or 1, self._room):
                chunk = block[start : start + self._room]
                last = 2 if at == end and start + self._room >= len(block) else 0
                pieces += [_PDV.pack(4, len(chunk) + 6, len(chunk) + 2, context, last), chunk]
            yield pieces
            if at == end:
                return

    def _send(self, pieces: list[bytes | memoryview]) -> None:
        views = [memoryview(piece) for piece in pieces if len(piece)]
        while views:
            sent = self._socket.sendmsg(views[:512])
            while views and sent >= len(views[0]):
                sent -= len(views.pop(0))
            if sent:
                views[0] = views[0][sent:]

    def _answer(self) -> Status:
        command = b""
        while True:
            kind, body = self._pdu()
            if kind == 7:
                raise ConnectionLost("the peer aborted the association")
            if kind != 4:
                raise ConnectionLost("the peer does not keep to the protocol")
            command += body[6:]
            if body[5] & 2:
                return _status(command)

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = _HEADER.unpack(self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            received = self._socket.recv(64 * 1024)
            if not received:
                raise ConnectionLost("the peer hung up")
            self._rest += received
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def _element(element: int, value: bytes, padding: bytes = b"\0") -> bytes:
    padded = value + padding * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded


def _request(outgoing: Outgoing, message_id: int) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 section 9.3.1.1)."""
    body = (
        _element(0x0002, outgoing.sop_class.encode())
        + _element(0x0100, struct.pack("<H", 0x0001))
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0700, struct.pack("<H", 0))
        + _element(0x0800, struct.pack("<H", 1))
        + _element(0x1000, outgoing.sop_instance.encode())
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _status(command: bytes) -> Status:
    at, code, comment = 0, 0xC000, ""
    while at + 8 <= len(command):
        _group, element, length = _ELEMENT.unpack_from(command, at)
        value = command[at + 8 : at + 8 + length]
        if element == 0x0900:
            code = int.from_bytes(value, "little")
        elif element == 0x0902:
            comment = value.decode("ascii", "replace").strip()
        at += 8 + length
    return Status(code, comment)


def _greeting(contexts: dict[int, Pair], calling: str, called: str) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = _APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = []
    for number, (sop_class, syntax) in contexts.items():
        context: Any = build_context(sop_class, syntax)
        context.context_id = number
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    version = ImplementationVersionNameNotification()
    longest.maximum_length_received = _LONGEST_PDU
    implementation.implementation_class_uid = IMPLEMENTATION
    version.implementation_version_name = "CAUSEWAY_1"
    primitive.user_information = [longest, implementation, version]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())
