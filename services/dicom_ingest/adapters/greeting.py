"""A-ASSOCIATE PDUs through pynetdicom's classes (PS3.8 section 9.3.2 to 9.3.4)."""

from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import AsynchronousOperationsWindowSubItem, MaximumLengthSubItem
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from services.dicom_ingest.adapters.pdus import A_ABORT, A_ASSOCIATE_RJ, FIXED_PART, BadPdu, short_pdu
from services.dicom_ingest.domain import part10
from services.dicom_ingest.domain.negotiation import Decision, Proposal

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
#: Their ids are the odd numbers of one byte (PS3.8 section 9.3.2.2).
MAX_CONTEXTS = 128
#: Syntaxes of all contexts and items of user information: 128 contexts with 120 syntaxes each have fewer.
MAX_ITEMS = 16_384
#: A greeting of more bytes is long: room for it must be had first.
LONG = 16 * 1024
_PRESENTATION_CONTEXT, _USER_INFORMATION = 0x20, 0x50
#: Bytes of an item before its value, and before the items in it (PS3.8 tables 9-13 and 9-16).
_ITEM_HEAD = 4
_INNER = {_PRESENTATION_CONTEXT: 8, _USER_INFORMATION: 4}
#: What is read of an A-ASSOCIATE-RQ, by the item that it is in: application context, presentation contexts with their
#: syntaxes, and of user information the longest PDU and the window of operations (PS3.7 annex D.3.3).
_READ = {
    None: frozenset({0x10, _PRESENTATION_CONTEXT, _USER_INFORMATION}),
    _PRESENTATION_CONTEXT: frozenset({0x30, 0x40}),
    _USER_INFORMATION: frozenset({0x51, 0x53}),
}
#: Version 1 of the protocol (PS3.8 table 9-11).
_VERSION, _VERSION_1 = slice(0, 2), b"\0\1"
#: The least that a P-DATA-TF holds: the head of a value, and one byte of it (PS3.8 section 9.3.5.1).
SHORTEST_DATA = 7
#: Where called and calling AE title lie in the body of an A-ASSOCIATE (PS3.8 tables 9-11 and 9-17), 16 bytes each.
_TITLES = slice(4, 36)
#: PS3.5 table 6.2-1, AE: the default repertoire without backslash and control characters.
_TITLE_BYTES = bytes(byte if 0x20 <= byte < 0x7F and byte != 0x5C else 0x3F for byte in range(256))


@dataclass(frozen=True)
class Greeting:
    """What a requestor proposes."""

    calling_ae: str
    called_ae: str
    application_context: str
    longest_pdu: int
    asks_for_window: bool
    proposals: tuple[Proposal, ...]
    request: A_ASSOCIATE_RQ
    body: memoryview


@dataclass(frozen=True)
class Refusal:
    """An A-ASSOCIATE-RJ: result, source and reason of PS3.8 table 9-21."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        """The PDU."""
        return short_pdu(A_ASSOCIATE_RJ, bytes((0, self.result, self.source, self.reason)))


LOCAL_LIMIT_EXCEEDED = Refusal(2, 3, 2)
CALLED_AE_NOT_RECOGNIZED = Refusal(1, 1, 7)
CALLING_AE_NOT_RECOGNIZED = Refusal(1, 1, 3)
APPLICATION_CONTEXT_NOT_SUPPORTED = Refusal(1, 1, 2)
PROTOCOL_VERSION_NOT_SUPPORTED = Refusal(1, 2, 2)


class TurnedAway(Exception):
    """An association is turned down, with this answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def abort(code: int) -> bytes:
    """An A-ABORT from the service provider (source 2) with a reason of PS3.8 table 9-26."""
    return short_pdu(A_ABORT, bytes((0, 0, 2, code)))


def titles(fixed: memoryview) -> tuple[str, str]:
    """Calling and called AE title of the fixed part of an A-ASSOCIATE-RQ (PS3.8 table 9-11); BadPdu when it is cut."""
    if len(fixed) < FIXED_PART:
        raise BadPdu("malformed-associate", 6)
    called, calling = (_title(bytes(fixed[at : at + 16])) for at in (4, 20))
    return calling, called


def _title(field: bytes) -> str:
    """Without its padding, which is spaces, or zeros of those who know no better; what no title may have is ``?``."""
    return field.split(b"\0", 1)[0].translate(_TITLE_BYTES).decode("ascii").strip()


def check_version(fixed: memoryview) -> None:
    """TurnedAway unless version 1 is among those that the requestor speaks; no other bit counts (PS3.8 table 9-11)."""
    if not fixed[_VERSION.stop - 1] & 1:
        raise TurnedAway(PROTOCOL_VERSION_NOT_SUPPORTED)


def plain(body: memoryview) -> bytes:
    """The body of an A-ASSOCIATE-RQ as pynetdicom takes it: of version 1, with its titles as ``titles`` reads them.

    Of the items there is what is read here: pynetdicom stumbles over those that it does not know.
    """
    calling, called = titles(body[:FIXED_PART])
    fields = called.encode().ljust(16) + calling.encode().ljust(16)
    head = _VERSION_1 + bytes(body[_VERSION.stop : _TITLES.start]) + fields + bytes(body[_TITLES.stop : FIXED_PART])
    return head + _items(body[FIXED_PART:], None)


def _items(body: memoryview, within: int | None) -> bytes:
    """The items without those that are passed over (PS3.8 section 9.3.1); from one that is cut on, as they came."""
    kept, at = [], 0
    while at + _ITEM_HEAD <= len(body) and (end := at + _ITEM_HEAD + _item_length(body, at)) <= len(body):
        if body[at] in _READ[within]:
            kept.append(_item(body[at:end]))
        at = end
    return b"".join([*kept, body[at:]])


def _item(whole: memoryview) -> bytes:
    kind = whole[0]
    inner = _INNER.get(kind, len(whole))
    value = bytes(whole[_ITEM_HEAD:inner]) + (_items(whole[inner:], kind) if kind in _INNER else b"")
    return bytes(whole[:2]) + len(value).to_bytes(2, "big") + value


def echoing(accept: bytes, body: memoryview) -> bytes:
    """An A-ASSOCIATE-AC PDU with the titles of the request as they came (PS3.8 table 9-17), bytes 11 to 42."""
    return accept[: 6 + _TITLES.start] + bytes(body[_TITLES]) + accept[6 + _TITLES.stop :]


def check_items(body: memoryview) -> None:
    """BadPdu when there are more presentation contexts than ids, or more items than any requestor has to tell.

    That is before they are made objects of, which cost hundreds of bytes each.
    """
    at, contexts, items = FIXED_PART, 0, 0
    while at + _ITEM_HEAD <= len(body):
        kind, end = body[at], at + _ITEM_HEAD + _item_length(body, at)
        contexts += kind == _PRESENTATION_CONTEXT
        inner = at + _INNER.get(kind, end)
        while inner + _ITEM_HEAD <= min(end, len(body)) and items <= MAX_ITEMS:
            items += 1
            inner += _ITEM_HEAD + _item_length(body, inner)
        at = end
    if contexts > MAX_CONTEXTS:
        raise BadPdu("too-many-contexts", 6)
    if items > MAX_ITEMS:
        raise BadPdu("too-many-items", 6)


def _item_length(body: memoryview, at: int) -> int:
    return int.from_bytes(body[at + 2 : at + _ITEM_HEAD], "big")


def read_greeting(body: memoryview) -> Greeting:
    """Decode an A-ASSOCIATE-RQ; ``BadPdu`` when it cannot be decoded, whatever pynetdicom stumbles over."""
    request = A_ASSOCIATE_RQ()
    calling_ae, called_ae = titles(body[:FIXED_PART])
    try:
        told = plain(body)
        request.decode(bytes((1, 0)) + len(told).to_bytes(4, "big") + told)
        request.to_primitive()
        return _possible(
            Greeting(
                calling_ae=calling_ae,
                called_ae=called_ae,
                application_context=str(request.application_context_name or ""),
                longest_pdu=_longest_pdu(request),
                asks_for_window=any(isinstance(item, AsynchronousOperationsWindowSubItem) for item in _told(request)),
                proposals=_proposals(request),
                request=request,
                body=body,
            )
        )
    except Exception:
        raise BadPdu("malformed-associate", 6) from None


def _possible(greeting: Greeting) -> Greeting:
    """The greeting; ValueError when nobody can be answered who says that."""
    ids = {proposal.context_id for proposal in greeting.proposals}
    if len(ids) < len(greeting.proposals) or not all(number % 2 for number in ids):
        raise ValueError
    if 0 < greeting.longest_pdu < SHORTEST_DATA:
        raise ValueError
    return greeting


def _told(request: A_ASSOCIATE_RQ) -> list[object]:
    """The items of user information (PS3.7 annex D.3)."""
    return list(request.user_information.user_data) if request.user_information else []


def _longest_pdu(request: A_ASSOCIATE_RQ) -> int:
    longest = (item.maximum_length_received for item in _told(request) if isinstance(item, MaximumLengthSubItem))
    return next(longest, 0)


def _proposals(request: A_ASSOCIATE_RQ) -> tuple[Proposal, ...]:
    return tuple(
        Proposal(
            context_id=item.presentation_context_id,
            abstract_syntax=str(item.abstract_syntax or ""),
            transfer_syntaxes=tuple(str(syntax) for syntax in item.transfer_syntax if syntax),
        )
        for item in request.presentation_context
    )


def welcome(greeting: Greeting, decisions: tuple[Decision, ...], max_pdu: int) -> bytes:
    """The A-ASSOCIATE-AC that tells these decisions."""
    primitive = greeting.request.to_primitive()
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    answer.calling_ae_title, answer.called_ae_title = primitive.calling_ae_title, primitive.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = [_result(decision) for decision in decisions]
    answer.user_information = _user_information(max_pdu)
    if greeting.asks_for_window:
        answer.user_information.append(one_at_a_time())
    return echoing(bytes(A_ASSOCIATE_AC(answer).encode()), greeting.body)


def one_at_a_time() -> AsynchronousOperationsWindowNegotiation:
    """The answer to whoever proposes a window of operations (PS3.7 section D.3.3.3): one, either way."""
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 1
    return window


def _result(decision: Decision) -> PresentationContext:
    context = PresentationContext()
    context.context_id = decision.context_id
    context.result = decision.result
    context.transfer_syntax = [decision.transfer_syntax]
    return context


def _user_information(max_pdu: int) -> list[object]:
    longest = MaximumLengthNotification()
    longest.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = part10.IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = part10.IMPLEMENTATION_VERSION
    return [longest, implementation, version]
