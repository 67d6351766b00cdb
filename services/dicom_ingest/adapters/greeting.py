"""A-ASSOCIATE PDUs through pynetdicom's classes (PS3.8 section 9.3.2 to 9.3.4)."""

from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import MaximumLengthSubItem
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
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
_PRESENTATION_CONTEXT = 0x20


@dataclass(frozen=True)
class Greeting:
    """What a requestor proposes."""

    calling_ae: str
    called_ae: str
    application_context: str
    longest_pdu: int
    proposals: tuple[Proposal, ...]
    request: A_ASSOCIATE_RQ


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
    called, calling = (bytes(fixed[at : at + 16]).decode("ascii", "replace").strip(" \0") for at in (4, 20))
    return calling, called


def check_contexts(body: memoryview) -> None:
    """BadPdu when more presentation contexts are proposed than there are ids, before they are made objects of."""
    at, count = FIXED_PART, 0
    while at + 4 <= len(body):
        count += body[at] == _PRESENTATION_CONTEXT
        at += 4 + int.from_bytes(body[at + 2 : at + 4], "big")
    if count > MAX_CONTEXTS:
        raise BadPdu("too-many-contexts", 6)


def read_greeting(body: memoryview) -> Greeting:
    """Decode an A-ASSOCIATE-RQ; ``BadPdu`` when it cannot be decoded, whatever pynetdicom stumbles over."""
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(bytes((1, 0)) + len(body).to_bytes(4, "big") + bytes(body))
        return Greeting(
            calling_ae=request.calling_ae_title.strip(),
            called_ae=request.called_ae_title.strip(),
            application_context=str(request.application_context_name or ""),
            longest_pdu=_longest_pdu(request),
            proposals=_proposals(request),
            request=request,
        )
    except Exception:
        raise BadPdu("malformed-associate", 6) from None


def _longest_pdu(request: A_ASSOCIATE_RQ) -> int:
    items = request.user_information.user_data if request.user_information else []
    return next((item.maximum_length_received for item in items if isinstance(item, MaximumLengthSubItem)), 0)


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
    return bytes(A_ASSOCIATE_AC(answer).encode())


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
