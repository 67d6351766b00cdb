"""Procedure steps as SCP and SCU, and Instance Availability Notification (PS3.4 annexes F and R; PS3.2 N.7.3)."""

from collections.abc import Callable

from cli.conformance import words
from cli.conformance.markdown import code, hexadecimal, table
from cli.conformance.scanning import reasons, refusals
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain.negotiation import STEPS
from services.dicom_ingest.domain.step import (
    DUPLICATE_INSTANCE,
    ENDED,
    MISSING_ATTRIBUTE,
    MISSING_VALUE,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
)
from services.forwarding.domain.answers import DestinationAway
from services.forwarding.domain.notices import CLASSES, MOST_TRIES, Answer, of_answer


def statuses() -> str:
    """The statuses of N-CREATE and N-SET."""
    found = refusals("StepRefused", ("services.dicom_ingest.domain.step", "services.dicom_ingest.handlers.steps"))
    rows = [(hexadecimal(0), "the report is durable")]
    rows += [(hexadecimal(number or 0), words.meaning(words.STEP, reason)) for number, reason in reasons(found)]
    return table(("status", "when"), rows)


def classes() -> str:
    """The SOP classes of both, and in which role."""
    names = {"mpps": "Modality Performed Procedure Step", "ian": "Instance Availability Notification"}
    taken = {STEPS: f"INGEST, by `MPPS`: `{Settings.model_fields['mpps'].default}` unless set"}
    rows = [
        (names[kind], code(uid), f"FORWARD, to a destination of `kind: {kind}`", taken.get(uid, "no"))
        for kind, uid in CLASSES.items()
    ]
    return table(("SOP class", "SOP Class UID", "SCU", "SCP"), rows)


def answers() -> str:
    """What becomes of a notice by the answer to it."""
    rows = [
        (hexadecimal(status), meaning, _told("create", status), _told("set", status)) for status, meaning in _STATUSES
    ]
    ended = _told("set", PROCESSING_FAILURE, ENDED), _told("set", PROCESSING_FAILURE, ENDED, tries=2)
    rows.append(
        (
            hexadecimal(PROCESSING_FAILURE),
            f"with Error ID {hexadecimal(ENDED)}",
            "–",
            f"{ended[0]}; if repeated {ended[1]}",
        )
    )
    return table(("status", "meaning", "of N-CREATE", "of N-SET"), rows)


def _told(operation: str, status: int, error_id: int = 0, tries: int = 1) -> str:
    answer = Answer(status, error_id)
    try:
        outcome = of_answer(operation, answer, tries)
    except DestinationAway:
        for_ever = _is_away(operation, answer, MOST_TRIES)
        return "comes again, and all behind it waits" if for_ever else f"comes again, {MOST_TRIES} times at most"
    return "delivered" if outcome.is_delivered else "failed"


def _is_away(operation: str, answer: Answer, tries: int) -> bool:
    try:
        of_answer(operation, answer, tries)
    except DestinationAway:
        return True
    return False


#: PS3.7 annex C.
_STATUSES = (
    (0x0000, "Success"),
    (0x0106, "Invalid attribute value"),
    (0x0107, "Attribute list error"),
    (PROCESSING_FAILURE, "Processing failure"),
    (DUPLICATE_INSTANCE, "Duplicate SOP Instance"),
    (NO_SUCH_INSTANCE, "No such SOP Instance"),
    (0x0116, "Attribute value out of range"),
    (MISSING_ATTRIBUTE, "Missing attribute"),
    (MISSING_VALUE, "Missing attribute value"),
    (RESOURCE_LIMITATION, "Resource limitation"),
    (0xFFFF, "anything else"),
)

PARTS: dict[str, Callable[[], str]] = {"mpps": classes, "mpps-statuses": statuses, "notices": answers}
