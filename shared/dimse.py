"""The bytes of an association as its requestor writes and reads them (PS3.7 section 9.3.1, PS3.8 section 9.3).

pynetdicom makes the greeting. Its own C-STORE would decode and encode each data set again, or keep all of it in a queue
(docs/adr/0006), and it takes no answer to the greeting that has more in it than it knows.
"""

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context, build_role

IMPLEMENTATION = "2.25.270695996825855179949881587723571202391"
HEADER = struct.Struct(">BxI")
ACCEPT, REJECT, DATA, RELEASE_REQUEST, RELEASE_ANSWER, ABORT = 2, 3, 4, 5, 6, 7
#: Bytes of the longest PDU that we write, whatever the peer would take.
LONGEST = 256 * 1024
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_ELEMENT = struct.Struct("<HHI")
_PDV = struct.Struct(">BxIIBB")
#: Type and length of an item, and where the items of an A-ASSOCIATE-AC begin (PS3.8 table 9-17), bytes.
_ITEM, _FIXED = struct.Struct(">BxH"), 68
_CONTEXT_RESULT, _USER_INFORMATION, _LONGEST_PDU, _ROLES = 0x21, 0x50, 0x51, 0x54
_COMMAND, _LAST = 1, 2
_BUFFERS = 512
_NO_DATA_SET = 0x0101

Pair = tuple[str, str]
Pieces = list[bytes | memoryview]


def greeting(contexts: Mapping[int, Pair], calling: str, called: str, scp_of: Iterable[str] = ()) -> bytes:
    """An A-ASSOCIATE-RQ that proposes one context for each pair of SOP class and transfer syntax.

    Of the SOP classes ``scp_of`` the requestor wants to be the SCP, and not the SCU (PS3.7 section D.3.3.4).
    """
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
    longest.maximum_length_received = LONGEST
    implementation.implementation_class_uid = IMPLEMENTATION
    version.implementation_version_name = "CAUSEWAY_1"
    roles = [build_role(sop_class, scp_role=True) for sop_class in scp_of]
    primitive.user_information = [longest, implementation, version, *roles]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def accepted(body: bytes) -> tuple[dict[int, int], int]:
    """The result of each context, and the longest fragment that may be sent, of the body of an A-ASSOCIATE-AC.

    ValueError when it is none; items that are not known are passed over, and what stands in those that nobody needs is
    not looked at (PS3.8 sections 9.3.1 and 9.3.3.2).
    """
    results, longest = {}, 0
    for kind, value in _items(body, _FIXED):
        if kind == _CONTEXT_RESULT and len(value) >= 4:
            results[value[0]] = value[2]
        elif kind == _USER_INFORMATION:
            told = (int.from_bytes(length, "big") for inner, length in _items(value, 0) if inner == _LONGEST_PDU)
            longest = next(told, longest)
    return results, (min(longest or LONGEST, LONGEST) - 6) & ~1


def scp_roles(body: bytes) -> frozenset[str]:
    """The SOP classes of which the requestor may be the SCP, of the body of an A-ASSOCIATE-AC (PS3.7 table D.3-10).

    ValueError when it is none; an item that is too short for what it tells grants nothing.
    """
    told = (value for kind, value in _items(body, _FIXED) if kind == _USER_INFORMATION)
    items = (item for value in told for kind, item in _items(value, 0) if kind == _ROLES)
    cut = ((item[2:-2], item[-1]) for item in items if int.from_bytes(item[:2], "big") == len(item) - 4)
    return frozenset(uid.rstrip(b"\0 ").decode("ascii", "replace") for uid, may_be_scp in cut if may_be_scp == 1)


def _items(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item from ``at`` on; ValueError where one is cut."""
    while at + _ITEM.size <= len(body):
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size + length
        if at <= len(body):
            yield kind, body[at - length : at]
    if at != len(body):
        raise ValueError("an item is cut")


def store_request(sop_class: str, sop_instance: str, message_id: int) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 section 9.3.1.1)."""
    body = (
        _element(0x0002, sop_class.encode())
        + _element(0x0100, struct.pack("<H", 0x0001))
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0700, struct.pack("<H", 0))
        + _element(0x0800, struct.pack("<H", 1))
        + _element(0x1000, sop_instance.encode())
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def notice_request(operation: str, sop_class: str, sop_instance: str, message_id: int) -> bytes:
    """The command set of an N-CREATE-RQ or N-SET-RQ with a data set (PS3.7 sections 10.3.3.1 and 10.3.5.1)."""
    is_new = operation == "create"
    body = (
        _element(0x0002 if is_new else 0x0003, sop_class.encode())
        + _element(0x0100, struct.pack("<H", 0x0140 if is_new else 0x0120))
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0800, struct.pack("<H", 1))
        + _element(0x1000 if is_new else 0x1001, sop_instance.encode())
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def command(context: int, command_set: bytes) -> Pieces:
    """A command set as one PDU; every peer takes one of this size."""
    return [_pdv(command_set, context, _COMMAND | _LAST), command_set]


def fragments(chunks: Iterable[bytes], context: int, room: int) -> Iterator[Pieces]:
    """A data set as PDUs of at most ``room`` bytes, about a chunk at a time; what is not the end is full and even."""
    rest = b""
    for chunk in chunks:
        block = memoryview(rest + chunk if rest else chunk)
        full = max(0, len(block) - 1) // room * room  # something stays for the last one
        if pieces := _pieces(block[:full], context, room):
            yield pieces
        rest = bytes(block[full:])
    yield [_pdv(rest, context, _LAST), rest]


def _pieces(block: memoryview, context: int, room: int) -> Pieces:
    pieces: Pieces = []
    for start in range(0, len(block), room):
        piece = block[start : start + room]
        pieces += [_pdv(piece, context, 0), piece]
    return pieces


def _pdv(value: bytes | memoryview, context: int, control: int) -> bytes:
    return _PDV.pack(DATA, len(value) + 6, len(value) + 2, context, control)


def _element(element: int, value: bytes) -> bytes:
    padded = value + b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded


def send(connection: socket.socket, pieces: Pieces) -> None:
    """Send them one behind the other, not joined where the kernel can gather them; OSError."""
    if isinstance(connection, ssl.SSLSocket):
        connection.sendall(b"".join(pieces))
        return
    views = [memoryview(piece) for piece in pieces if len(piece)]
    while views:
        sent = connection.sendmsg(views[:_BUFFERS])
        while views and sent >= len(views[0]):
            sent -= len(views.pop(0))
        if sent:
            views[0] = views[0][sent:]


@dataclass(frozen=True)
class Response:
    """What a response's command set says; None or 0 for what it does not have (PS3.7 section E.1)."""

    message_id: int | None
    status: int | None
    error_id: int = 0
    has_data_set: bool = False
    comment: str = ""


def response(command_set: bytes) -> Response:
    """The response that a command set is."""
    at, found, comment = 0, dict[int, int](), ""
    while at + 8 <= len(command_set):
        _, element, length = _ELEMENT.unpack_from(command_set, at)
        if element in (0x0120, 0x0800, 0x0900, 0x0903):
            found[element] = int.from_bytes(command_set[at + 8 : at + 8 + length], "little")
        elif element == 0x0902:
            comment = command_set[at + 8 : at + 8 + length].decode("ascii", "replace").strip(" \0")
        at += 8 + length
    has_data_set = found.get(0x0800, _NO_DATA_SET) != _NO_DATA_SET
    return Response(found.get(0x0120), found.get(0x0900), found.get(0x0903, 0), has_data_set, comment)


def values(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The message control header and the fragment of each value of a P-DATA-TF (PS3.8 section 9.3.5, annex E)."""
    at = 0
    while at + 6 <= len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        yield body[at + 5], body[at + 6 : at + 4 + length]
        at += 4 + max(length, 2)
