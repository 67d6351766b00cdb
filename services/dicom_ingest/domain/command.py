"""DIMSE command sets: group 0000 in implicit VR little endian (PS3.7 sections 6.3.1 and 9.3, annex E)."""

import struct
from dataclasses import dataclass

from shared.errors import Unprocessable

C_STORE, C_ECHO, C_CANCEL = 0x0001, 0x0030, 0x0FFF
N_EVENT_REPORT, N_SET, N_ACTION, N_CREATE = 0x0100, 0x0120, 0x0130, 0x0140
RESPONSE = 0x8000
NO_DATA_SET = 0x0101

SUCCESS = 0x0000
NO_SUCH_SOP_CLASS = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

#: More than any command set of the standard needs, bytes.
MAX_COMMAND = 16 * 1024

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")
_SOP_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _ERROR_ID, _SOP_INSTANCE = 0x0800, 0x0900, 0x0902, 0x0903, 0x1000
_REQUESTED_SOP_CLASS, _REQUESTED_SOP_INSTANCE = 0x0003, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008


class MalformedCommand(Unprocessable):
    """The bytes are no command set."""

    def __init__(self) -> None:
        super().__init__("malformed-command")


class InstanceRefused(Unprocessable):
    """This instance will never be taken; ``status`` is the C-STORE status (PS3.4 annex B.2.3).

    ``error_id`` and ``comment`` go into the answer where a service knows better ones than 0 and the reason.
    """

    def __init__(self, reason: str, status: int, *, error_id: int = 0, comment: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.error_id = error_id
        self.comment = comment or reason


@dataclass(frozen=True)
class Command:
    """A request or response as received; UIDs are empty and numbers 0 where the command has none."""

    field: int
    message_id: int
    sop_class: str
    sop_instance: str
    has_data_set: bool
    action: int = 0
    responded_to: int = 0
    status: int = 0

    @property
    def is_response(self) -> bool:
        """Whether this answers a request of ours."""
        return bool(self.field & RESPONSE) and self.field != C_CANCEL


def _elements(encoded: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 8 <= len(encoded):
        group, element, length = _ELEMENT.unpack_from(encoded, at)
        at += 8 + length
        if group != 0 or at > len(encoded):
            raise MalformedCommand
        found[element] = encoded[at - length : at]
    return found


def _uid(value: bytes) -> str:
    """Without its padding, and without the spaces that some senders write before it."""
    return value.strip(b"\0 ").decode("ascii")


def parse(encoded: bytes) -> Command:
    """Read a request's command set; ``MalformedCommand`` when it is none."""
    elements = _elements(encoded)
    try:
        command = Command(
            field=_US.unpack(elements[_FIELD])[0],
            message_id=_US.unpack(elements.get(_MESSAGE_ID, b"\0\0"))[0],
            sop_class=_uid(elements.get(_SOP_CLASS) or elements.get(_REQUESTED_SOP_CLASS, b"")),
            sop_instance=_uid(elements.get(_SOP_INSTANCE) or elements.get(_REQUESTED_SOP_INSTANCE, b"")),
            has_data_set=_US.unpack(elements[_DATA_SET_TYPE])[0] != NO_DATA_SET,
            action=_US.unpack(elements.get(_ACTION_TYPE, b"\0\0"))[0],
            responded_to=_US.unpack(elements.get(_RESPONDED_ID, b"\0\0"))[0],
            status=_US.unpack(elements.get(_STATUS, b"\0\0"))[0],
        )
    except (KeyError, struct.error, UnicodeDecodeError):
        raise MalformedCommand from None
    if not command.field & RESPONSE and command.field != C_CANCEL and _MESSAGE_ID not in elements:
        # Nothing could be answered to it.
        raise MalformedCommand
    return command


def _element(element: int, value: bytes, padding: bytes = b"\0") -> bytes:
    padded = value + padding * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded


def event_report(message_id: int, sop_class: str, sop_instance: str, event_type: int) -> bytes:
    """The command set of an N-EVENT-REPORT request with event information (PS3.7 section 10.3.1)."""
    body = _element(_SOP_CLASS, sop_class.encode())
    body += _element(_FIELD, _US.pack(N_EVENT_REPORT))
    body += _element(_MESSAGE_ID, _US.pack(message_id))
    body += _element(_DATA_SET_TYPE, _US.pack(0x0001))
    body += _element(_SOP_INSTANCE, sop_instance.encode())
    body += _element(_EVENT_TYPE, _US.pack(event_type))
    return _element(0x0000, struct.pack("<I", len(body))) + body


def respond(request: Command, status: int, comment: str = "", error_id: int = 0) -> bytes:
    """The response to ``request``; ``comment`` is at most 64 characters of our own words, never of the input.

    An ``error_id`` of 0 is left out (PS3.7 annex C.4).
    """
    body = b""
    if request.sop_class:
        body += _element(_SOP_CLASS, request.sop_class.encode())
    body += _element(_FIELD, _US.pack(request.field | RESPONSE))
    body += _element(_RESPONDED_ID, _US.pack(request.message_id))
    body += _element(_DATA_SET_TYPE, _US.pack(NO_DATA_SET))
    body += _element(_STATUS, _US.pack(status))
    if comment:
        body += _element(_COMMENT, comment.encode()[:64], b" ")
    if error_id:
        body += _element(_ERROR_ID, _US.pack(error_id))
    if request.sop_instance:
        body += _element(_SOP_INSTANCE, request.sop_instance.encode())
    return _element(0x0000, struct.pack("<I", len(body))) + body
