"""The upper layer and the command sets that a worklist needs, as bytes (PS3.8 section 9.3, PS3.7 section 9.3).

Read here rather than by a general library, because the port may be open to anybody: every length is checked before it
is believed.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
VERIFICATION, WORKLIST = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.31"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
#: Results of a presentation context (PS3.8 table 9-18).
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4

C_FIND, C_ECHO, C_CANCEL, RESPONSE = 0x0020, 0x0030, 0x0FFF, 0x8000
SUCCESS, PENDING, PENDING_PARTIAL, CANCELLED = 0x0000, 0xFF00, 0xFF01, 0xFE00
OUT_OF_RESOURCES, DOES_NOT_MATCH, UNABLE, NO_SUCH_CLASS, UNRECOGNIZED = 0xA700, 0xA900, 0xC000, 0x0122, 0x0211

IMPLEMENTATION = "2.25.270695996825855179949881587723571202391"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_FIXED, _MAX_CONTEXTS = 68, 128
_NO_DATA_SET = 0x0101
_ELEMENT, _HEADER, _ITEM = struct.Struct("<HHI"), struct.Struct(">BxI"), struct.Struct(">BxH")
COMMAND_BIT, LAST_BIT = 1, 2


class BadPdu(ValueError):
    """The peer breaks the protocol."""


@dataclass(frozen=True)
class Context:
    """An accepted presentation context, or the reason why it is not."""

    id: int
    abstract_syntax: str
    result: int
    transfer_syntax: str


@dataclass(frozen=True)
class Greeting:
    """An A-ASSOCIATE-RQ: ``longest`` P-DATA-TF that may be sent, ``combined`` ranges of date and time or not told."""

    calling: str
    called: str
    application_context: str
    contexts: tuple[Context, ...]
    longest: int
    combined: bool | None
    titles: bytes


@dataclass(frozen=True)
class Command:
    """A request's command set; ``responded_to`` is what a C-CANCEL cancels."""

    field: int
    message_id: int
    responded_to: int
    sop_class: str
    has_data_set: bool


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its header."""
    return _HEADER.pack(kind, len(body)) + body


def header(encoded: bytes) -> tuple[int, int]:
    """Type and length of a PDU from its six bytes."""
    kind, length = _HEADER.unpack(encoded)
    return int(kind), int(length)


def _items(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(body):
        if at + 4 > len(body):
            raise BadPdu("item-cut")
        kind, length = _ITEM.unpack_from(body, at)
        at += 4 + length
        if at > len(body):
            raise BadPdu("item-cut")
        yield kind, body[at - length : at]


def _name(encoded: bytes) -> str:
    return encoded.decode("latin-1").strip(" \0")


def read_greeting(body: bytes) -> Greeting:
    """The A-ASSOCIATE-RQ in ``body`` (PS3.8 section 9.3.2); BadPdu."""
    if len(body) < _FIXED or not int.from_bytes(body[:2], "big") & 1:
        raise BadPdu("no-greeting")
    contexts: list[Context] = []
    application, longest, combined = "", 0, None
    for kind, value in _items(body, _FIXED):
        if kind == 0x10:
            application = _name(value)
        elif kind == 0x20:
            contexts.append(_context(value))
        elif kind == 0x50:
            longest, combined = _user_information(value)
    if len(contexts) > _MAX_CONTEXTS or len({each.id for each in contexts}) < len(contexts):
        raise BadPdu("contexts")
    if 0 < longest < 128:
        raise BadPdu("too-short-a-pdu")
    called, calling = _name(body[4:20]), _name(body[20:36])
    return Greeting(calling, called, application, tuple(contexts), longest, combined, body[4:36])


def _context(value: bytes) -> Context:
    if len(value) < 4 or value[0] % 2 == 0:
        raise BadPdu("context")
    abstract, syntaxes = "", []
    for kind, name in _items(value, 4):
        if kind == 0x30:
            abstract = _name(name)
        elif kind == 0x40:
            syntaxes.append(_name(name))
    chosen = next((each for each in (EXPLICIT, IMPLICIT) if each in syntaxes), "")
    if abstract not in (VERIFICATION, WORKLIST):
        return Context(value[0], abstract, NO_ABSTRACT_SYNTAX, IMPLICIT)
    return Context(value[0], abstract, ACCEPTED if chosen else NO_TRANSFER_SYNTAX, chosen or IMPLICIT)


def _user_information(value: bytes) -> tuple[int, bool | None]:
    longest, combined = 0, None
    for kind, told in _items(value, 0):
        if kind == 0x51 and len(told) == 4:
            longest = int.from_bytes(told, "big")
        elif kind == 0x56 and len(told) >= 2:
            size = int.from_bytes(told[:2], "big")
            if _name(told[2 : 2 + size]) == WORKLIST:
                # Byte 2 asks for combined ranges of date and time (PS3.4 section C.5.1.1.2).
                combined = told[3 + size : 4 + size] == b"\1"
    return longest, combined


def welcome(greeting: Greeting, longest: int) -> bytes:
    """The A-ASSOCIATE-AC; ``longest`` is the longest PDU that we take."""
    body = struct.pack(">HH", 1, 0) + greeting.titles + bytes(32) + _item(0x10, _APPLICATION_CONTEXT.encode())
    for each in greeting.contexts:
        syntax = _item(0x40, each.transfer_syntax.encode())
        body += _item(0x21, bytes((each.id, 0, each.result, 0)) + syntax)
    user = _item(0x51, struct.pack(">I", longest)) + _item(0x52, IMPLEMENTATION.encode())
    if greeting.combined is not None:
        uid = WORKLIST.encode()
        # Relational queries no; date and time as asked; fuzzy matching of names beyond case and accents no.
        user += _item(0x56, struct.pack(">H", len(uid)) + uid + bytes((0, greeting.combined, 0)))
    return pdu(ASSOCIATE_AC, body + _item(0x50, user + _item(0x55, b"CAUSEWAY_1")))


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def rejection(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return pdu(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def abort(reason: int) -> bytes:
    """An A-ABORT of the provider (PS3.8 table 9-26)."""
    return pdu(ABORT, bytes((0, 0, 2, reason)))


def values(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Context id, control header and fragment of each value of a P-DATA-TF; BadPdu."""
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        if at + 6 > len(body) or length < 2 or at + 4 + length > len(body):
            raise BadPdu("value-cut")
        yield body[at + 4], body[at + 5], body[at + 6 : at + 4 + length]
        at += 4 + length


def read_command(encoded: bytes) -> Command:
    """A command set; BadPdu."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(encoded):
        if at + 8 > len(encoded):
            raise BadPdu("command-cut")
        group, number, length = _ELEMENT.unpack_from(encoded, at)
        at += 8 + length
        if group != 0 or at > len(encoded):
            raise BadPdu("command-cut")
        found[number] = encoded[at - length : at]
    number_of = _numbers(found)
    if 0x0100 not in number_of or 0x0800 not in number_of:
        raise BadPdu("command")
    return Command(
        field=number_of[0x0100],
        message_id=number_of.get(0x0110, 0),
        responded_to=number_of.get(0x0120, 0),
        sop_class=_name(found.get(0x0002, b"")),
        has_data_set=number_of[0x0800] != _NO_DATA_SET,
    )


def _numbers(found: Mapping[int, bytes]) -> dict[int, int]:
    return {number: int.from_bytes(value, "little") for number, value in found.items() if len(value) == 2}


def response(command: Command, status: int, *, has_data_set: bool = False, comment: str = "") -> bytes:
    """The command set of the response to ``command``; ``comment`` are our own words, never any of the input."""
    body = _element(0x0002, command.sop_class.encode("latin-1"))
    body += _element(0x0100, struct.pack("<H", command.field | RESPONSE))
    body += _element(0x0120, struct.pack("<H", command.message_id))
    body += _element(0x0800, struct.pack("<H", 1 if has_data_set else _NO_DATA_SET))
    body += _element(0x0900, struct.pack("<H", status))
    if comment:
        body += _element(0x0902, comment.encode()[:64])
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _element(number: int, value: bytes) -> bytes:
    padded = value + (b" " if number == 0x0902 else b"\0") * (len(value) % 2)
    return _ELEMENT.pack(0, number, len(padded)) + padded


def data_pdus(context: int, message: bytes, *, is_command: bool, longest: int) -> bytes:
    """``message`` as P-DATA-TF PDUs of at most ``longest`` bytes (PS3.8 annex E)."""
    room = max((longest - 6) & ~1, 2)
    pieces = [message[at : at + room] for at in range(0, len(message), room)] or [b""]
    found = []
    for number, piece in enumerate(pieces, 1):
        control = (COMMAND_BIT if is_command else 0) | (LAST_BIT if number == len(pieces) else 0)
        found.append(pdu(DATA, struct.pack(">IBB", len(piece) + 2, context, control) + piece))
    return b"".join(found)
