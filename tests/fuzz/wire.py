"""The bytes of units and commands as tests write them: any field may be told wrongly (PS3.8 section 9.3)."""

import itertools
import struct
from dataclasses import dataclass

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"
VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
COMMITMENT, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
STEPS = "1.2.840.10008.3.1.2.3.3"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
C_STORE, C_ECHO, N_ACTION, N_CREATE, N_SET = 0x0001, 0x0030, 0x0130, 0x0140, 0x0120
A_ASSOCIATE_RQ, P_DATA, A_RELEASE_RQ, A_ABORT = 1, 4, 5, 7

#: Abstract and transfer syntax of the contexts that well-made greetings propose, by id.
CONTEXTS = {
    1: (VERIFICATION, EXPLICIT),
    3: (CT, EXPLICIT),
    5: (CT, IMPLICIT),
    7: (CT, BIG),
    9: (CT, DEFLATED),
    11: (CT, JPEG),
    13: (COMMITMENT, EXPLICIT),
    15: (STEPS, EXPLICIT),
}
STORING = (3, 5, 7, 9, 11)


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A protocol data unit; ``length`` is told instead of the true one."""
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind: int, value: bytes, length: int | None = None) -> bytes:
    """An item or sub-item of an A-ASSOCIATE-RQ."""
    return struct.pack(">BxH", kind, (len(value) if length is None else length) & 0xFFFF) + value


def context(number: int, abstract: bytes, *syntaxes: bytes) -> bytes:
    """A proposed presentation context (PS3.8 table 9-13)."""
    inner = item(0x30, abstract) + b"".join(item(0x40, syntax) for syntax in syntaxes)
    return item(0x20, struct.pack(">BxBx", number, 0) + inner)


@dataclass(frozen=True)
class Greeting:
    """An A-ASSOCIATE-RQ; what is not said is as it should be."""

    contexts: tuple[bytes, ...] = tuple(
        context(number, abstract.encode(), syntax.encode()) for number, (abstract, syntax) in CONTEXTS.items()
    )
    calling: bytes = b"FUZZ"
    called: bytes = b"CAUSEWAY"
    application: bytes = APPLICATION_CONTEXT.encode()
    longest: int = 16384
    user_items: tuple[bytes, ...] = (item(0x52, b"1.2.826.0.1"), item(0x55, b"FUZZ_1"))
    version: int = 1

    def body(self) -> bytes:
        """The body of the PDU."""
        fixed = struct.pack(">H2x", self.version) + self.called.ljust(16)[:16] + self.calling.ljust(16)[:16] + bytes(32)
        user = item(0x51, struct.pack(">I", self.longest)) + b"".join(self.user_items)
        return fixed + item(0x10, self.application) + b"".join(self.contexts) + item(0x50, user)

    def encode(self) -> bytes:
        """The PDU."""
        return pdu(A_ASSOCIATE_RQ, self.body())


@dataclass(frozen=True)
class Value:
    """A presentation data value; ``length`` is told instead of the true one."""

    context: int
    control: int
    data: bytes
    length: int | None = None

    def encode(self) -> bytes:
        """As it stands in a P-DATA-TF."""
        told = len(self.data) + 2 if self.length is None else self.length
        return struct.pack(">IBB", told & 0xFFFFFFFF, self.context, self.control) + self.data


def fragments(number: int, content: bytes, size: int, *, is_command: bool) -> list[Value]:
    """A command or a data set in fragments of at most ``size`` bytes."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
    kinds = [int(is_command)] * (len(pieces) - 1) + [int(is_command) | 2]
    return [Value(number, kind, piece) for kind, piece in zip(kinds, pieces, strict=True)]


def command_element(element: int, value: bytes, length: int | None = None, group: int = 0) -> bytes:
    """An element of a command set, implicit VR little endian."""
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, element, len(padded) if length is None else length) + padded


def command_set(elements: dict[int, bytes]) -> bytes:
    """A command set with its group length."""
    body = b"".join(command_element(number, value) for number, value in sorted(elements.items()))
    return command_element(0, struct.pack("<I", len(body))) + body


def us(number: int) -> bytes:
    """An unsigned short."""
    return struct.pack("<H", number)


def store_elements(message_id: int, uid: str, sop_class: str = CT) -> dict[int, bytes]:
    """The elements of a C-STORE-RQ (PS3.7 section 9.3.1.1)."""
    return {
        0x0002: sop_class.encode(),
        0x0100: us(C_STORE),
        0x0110: us(message_id),
        0x0700: us(0),
        0x0800: us(1),
        0x1000: uid.encode(),
    }


def echo_elements(message_id: int) -> dict[int, bytes]:
    """The elements of a C-ECHO-RQ (PS3.7 section 9.3.5.1)."""
    return {0x0002: VERIFICATION.encode(), 0x0100: us(C_ECHO), 0x0110: us(message_id), 0x0800: us(0x0101)}


def action_elements(message_id: int) -> dict[int, bytes]:
    """The elements of an N-ACTION-RQ that asks for commitment (PS3.4 section J.3.2)."""
    return {
        0x0003: COMMITMENT.encode(),
        0x0100: us(N_ACTION),
        0x0110: us(message_id),
        0x0800: us(1),
        0x1001: WELL_KNOWN.encode(),
        0x1008: us(1),
    }


def step_elements(message_id: int, field: int, uid: str) -> dict[int, bytes]:
    """The elements of an N-CREATE-RQ or N-SET-RQ of a performed procedure step (PS3.4 section F.7.2)."""
    sop_class, instance = (0x0002, 0x1000) if field == N_CREATE else (0x0003, 0x1001)
    return {
        sop_class: STEPS.encode(),
        0x0100: us(field),
        0x0110: us(message_id),
        0x0800: us(1),
        instance: uid.encode(),
    }


@dataclass(frozen=True)
class Told:
    """What a complete C-STORE request in a stream says, as the reference reads it."""

    context: int
    message_id: bytes
    uid: str
    data: bytes


def read_command(encoded: bytes) -> dict[int, bytes] | None:
    """The elements of group 0000; None when it is no command set."""
    found, at = {}, 0
    while at + 8 <= len(encoded):
        group, element, length = struct.unpack_from("<HHI", encoded, at)
        if group or at + 8 + length > len(encoded):
            return None
        found[element] = encoded[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def split_pdus(sent: bytes) -> list[tuple[int, bytes]]:
    """The complete units at the beginning of ``sent``."""
    units, at = [], 0
    while at + 6 <= len(sent):
        kind, length = struct.unpack_from(">BxI", sent, at)
        if at + 6 + length > len(sent):
            break
        units.append((kind, sent[at + 6 : at + 6 + length]))
        at += 6 + length
    return units


def read_values(body: bytes) -> list[Value]:
    """The presentation data values of a P-DATA-TF, up to where their lengths do not add up."""
    values, at = [], 0
    while at + 6 <= len(body):
        length, number, control = struct.unpack_from(">IBB", body, at)
        if length < 2 or at + 4 + length > len(body):
            break
        values.append(Value(number, control, body[at + 6 : at + 4 + length]))
        at += 4 + length
    return values


class Reader:
    """Puts fragments together to messages, as the standard says and as forgivingly as that allows."""

    def __init__(self) -> None:
        self.stores: list[Told] = []
        self._command = self._data = b""
        self._request: dict[int, bytes] | None = None
        self.finished = 0

    def take(self, value: Value) -> bool:
        """Whether the peer still makes sense after this fragment."""
        if value.control & 1:
            self._command += value.data
            if not value.control & 2:
                return True
            self._request, self._command, self._data = read_command(self._command), b"", b""
            if self._request is None:
                return False
            if self._request.get(0x0800) == us(0x0101):
                self._finish(value.context)
        elif self._request is None:
            return False
        else:
            self._data += value.data
            if value.control & 2:
                self._finish(value.context)
        return True

    def _finish(self, number: int) -> None:
        request, self._request = self._request or {}, None
        self.finished += 1
        if request.get(0x0100) == us(C_STORE):
            uid = request.get(0x1000, b"").rstrip(b"\0 ").decode("ascii", "replace")
            self.stores.append(Told(number, request.get(0x0110, us(0)), uid, self._data))


def read(sent: bytes) -> Reader:
    """What ``sent`` holds wholly before it ends or stops being a conversation."""
    reader = Reader()
    for kind, body in split_pdus(sent)[1:]:
        if kind != P_DATA or not all(map(reader.take, read_values(body))):
            break
    return reader


def complete_stores(sent: bytes) -> list[Told]:
    """Every C-STORE-RQ that ``sent`` holds wholly, with its data set."""
    return read(sent).stores


def acts(sent: bytes) -> tuple[bytes, bytes, bytes]:
    """The greeting, what follows up to the last P-DATA-TF, and the rest."""
    units = split_pdus(sent)
    ends = list(itertools.accumulate((6 + len(body) for _kind, body in units), initial=0))
    first = ends[1] if units else len(sent)
    last = max((end for (kind, _body), end in zip(units, ends[1:], strict=True) if kind == P_DATA), default=first)
    return sent[:first], sent[first : max(first, last)], sent[max(first, last) :]
