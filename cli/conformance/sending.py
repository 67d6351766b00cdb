"""What FORWARD makes of answers: C-STORE as SCU and STOW-RS as user agent (PS3.2 sections N.7.3.2.5.1 and N.5.3)."""

from collections.abc import Callable

from pydicom.uid import UID_dictionary

from cli.conformance.markdown import code, hexadecimal, table
from services.forwarding.domain.answers import BrokenOff, DestinationAway, Outcome, of_c_store, of_context, of_stow
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import PROOF
from services.forwarding.domain.syntaxes import is_lossless
from shared.dimse import LONGEST

#: Statuses of C-STORE (PS3.4 table B.2-1, PS3.7 section 9.1.1.1.9 and annex C), and one that nobody has defined.
_STATUSES = (
    (0x0000, "Success"),
    (0xB000, "Warning: Coercion of Data Elements"),
    (0xB006, "Warning: Elements Discarded"),
    (0xB007, "Warning: Data Set does not match SOP Class"),
    (0x0107, "Warning: Attribute list error"),
    (0x0116, "Warning: Attribute value out of range"),
    (0xA700, "Refused: Out of Resources (A700H to A7FFH)"),
    (0xA900, "Error: Data Set does not match SOP Class (A900H to A9FFH)"),
    (0xC000, "Error: Cannot understand (C000H to CFFFH)"),
    (0x0110, "Processing failure"),
    (0x0117, "Invalid SOP Instance"),
    (0x0122, "SOP class not supported"),
    (0x0124, "Not authorized"),
    (0x0210, "Duplicate invocation"),
    (0x0211, "Unrecognized operation"),
    (0x0212, "Mistyped argument"),
    (0xFFFF, "anything else"),
)
_CONTEXTS = ((1, "user rejection"), (2, "no reason"), (3, "abstract syntax"), (4, "transfer syntaxes"))
_HTTP = (200, 202, 400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 500, 502, 503, 504, 507)


def c_store() -> str:
    """What becomes of an instance by the status that a destination gives (table N.7-42)."""
    rows = [(hexadecimal(status), meaning, _told(of_c_store, status)) for status, meaning in _STATUSES]
    return table(("status", "further meaning", "behavior"), rows)


def contexts() -> str:
    """What becomes of instances whose presentation context was not accepted (PS3.8 table 9-18)."""
    rows = [(f"{number} {meaning}", _told(of_context, number)) for number, meaning in _CONTEXTS]
    return table(("result", "behavior"), rows)


def stow() -> str:
    """What becomes of an instance by the HTTP status of a destination (PS3.18 table 10.5.3-1)."""
    rows = [(str(status), _told(lambda number: of_stow(number, b"{}"), status)) for status in _HTTP]
    rows.append(("202 that is no DICOM JSON", _told(lambda number: of_stow(number, b""), 202)))
    rows.append(("200 or 202 with Failed SOP Sequence", "as the Failure Reason says, read as a status of C-STORE"))
    rows.append(("no answer, no TLS", _WAITS))
    return table(("answer", "behavior"), rows)


def parameters() -> str:
    """What a destination may be told (examples/destinations.yaml)."""
    names = ("called_ae", "calling_ae", "timeout", "held")
    rows = [(code(name), code(Destination.model_fields[name].default)) for name in names]
    rows.append(("Maximum PDU length received", f"{LONGEST:,} bytes"))
    return table(("key of `destinations.yaml`", "default"), rows)


_WAITS = "everything for the destination waits, in order, and is tried again without end"


def _told(ask: Callable[[int], Outcome], number: int) -> str:
    try:
        outcome = ask(number)
    except BrokenOff as refused:
        return f"tried again before what is behind it; failed as {code(refused.reason)} after {PROOF} times in a row"
    except DestinationAway:
        return _WAITS
    if outcome.is_delivered:
        return "delivered" if outcome.reason is None else f"delivered, noted as {code(outcome.reason)}"
    return f"failed as {code(outcome.reason)}: shown, tried again by an operator alone"


def decompression() -> str:
    """What may be decompressed for a destination: without loss, and only what we know how to."""
    taken = [uid for uid in UID_dictionary if is_lossless(uid)]
    return table(("transfer syntax", "UID"), ((UID_dictionary[uid][0], code(uid)) for uid in sorted(taken)))


PARTS: dict[str, Callable[[], str]] = {
    "c-store-scu": c_store,
    "contexts-scu": contexts,
    "stow-client": stow,
    "destinations": parameters,
    "decompression": decompression,
}
