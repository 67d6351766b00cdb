"""What the answer of a destination means for an instance, and for everything behind it in the queue."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import RetryLater

#: Reasons of an instance that did not get through.
SOP_CLASS_REFUSED = "sop-class-refused"
SYNTAX_REFUSED = "transfer-syntax-refused"
CONTEXT_REFUSED = "context-refused"
UID_INVALID = "uid-invalid"
INPUT_DAMAGED = "input-damaged"
INPUT_MISSING = "input-missing"
#: A destination is away as long as a file of ours is that it cannot do without: a token, a certificate, a key.
CREDENTIALS_UNREADABLE = "credentials-unreadable"

#: PS3.5 section 9.1, with the leading zeros that real devices write.
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_SOME_OF_IT = 202
#: HTTP statuses that speak of one request, not of the service (RFC 9110; PS3.18 section 10.5.3).
_ABOUT_THE_INSTANCE = {400, 406, 409, 411, 413, 414, 415, 422}
_PROCESSING_FAILURE = 0x0110
#: Results of a presentation context (PS3.8 table 9-18).
_REFUSALS = {3: SOP_CLASS_REFUSED, 4: SYNTAX_REFUSED}


class DestinationAway(RetryLater):
    """A destination does not answer, turns us down, or has no room: everything for it waits, in order."""


class BrokenOff(DestinationAway):
    """A destination that was there ended the conversation over one instance, without a word about it."""


@dataclass(frozen=True)
class Outcome:
    """How an instance ended: delivered, perhaps with a warning as ``reason``, or failed for ``reason``."""

    is_delivered: bool
    reason: str | None = None


DELIVERED = Outcome(is_delivered=True)


def failed(reason: str) -> Outcome:
    """Not taken, and not to be tried again by itself."""
    return Outcome(is_delivered=False, reason=reason)


def of_c_store(status: int) -> Outcome:
    """The outcome of a C-STORE status (PS3.4 section B.2.3, PS3.7 annex C).

    DestinationAway without resources; BrokenOff for a processing failure, which is mostly one of the moment.
    """
    if status == 0x0000:
        return DELIVERED
    if status & 0xFF00 == 0xA700:
        raise DestinationAway("out-of-resources")
    code = f"status-{status:04x}"
    if status == _PROCESSING_FAILURE:
        raise BrokenOff(code)
    if status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        return Outcome(is_delivered=True, reason=code)
    return failed(code)


def of_context(result: int) -> Outcome:
    """The outcome for instances whose presentation context was refused (PS3.8 table 9-18)."""
    return failed(_REFUSALS.get(result, CONTEXT_REFUSED))


def of_stow(http_status: int, text: bytes) -> Outcome:
    """The outcome of a STOW-RS answer about one instance, whose body is ``text`` (PS3.18 section 10.5.3).

    DestinationAway for whatever speaks of the service and not of the instance; BrokenOff for an error of its own, and
    for a 202 that nobody can read: it may mean stored with a warning, or not at all.
    """
    try:
        failure, warning = stow_reasons(text)
    except ValueError:
        if http_status == _SOME_OF_IT:
            raise BrokenOff("answer-unreadable") from None
        failure = warning = None
    if failure is not None:
        return of_c_store(failure if failure else _PROCESSING_FAILURE)
    if http_status in (200, _SOME_OF_IT):
        return DELIVERED if warning is None else Outcome(is_delivered=True, reason=f"status-{warning:04x}")
    if http_status in _ABOUT_THE_INSTANCE:
        return failed(f"http-{http_status}")
    if http_status == 500:
        raise BrokenOff("http-500")
    raise DestinationAway(f"http-{http_status}")


def stow_reasons(text: bytes) -> tuple[int | None, int | None]:
    """Failure and Warning Reason of the one instance in a store instances response (PS3.18 section 10.5.3.1).

    None for what is not there; 0 for a failure without a reason. ValueError for what is no answer in DICOM JSON.
    """
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError
    return _reason(told, "00081198", "00081197", 0), _reason(told, "00081199", "00081196", None)


def _reason(told: Mapping[str, Any], sequence: str, attribute: str, default: int | None) -> int | None:
    items = _values(told.get(sequence))
    if not items or not isinstance(items[0], dict):
        return None
    code = next(iter(_values(items[0].get(attribute))), default)
    return code if isinstance(code, int) else default


def _values(attribute: Any) -> list[Any]:
    found = attribute.get("Value") if isinstance(attribute, dict) else None
    return found if isinstance(found, list) else []


def is_uid(text: str) -> bool:
    """Whether ``text`` can be proposed as a syntax."""
    return _UID.fullmatch(text) is not None
