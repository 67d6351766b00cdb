"""What came of a store request, part by part, and the HTTP status that says so (PS3.18 section 10.5.3)."""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.dicom_ingest.domain.command import (
    CANNOT_UNDERSTAND,
    NO_SUCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    InstanceRefused,
)
from services.dicom_ingest.domain.negotiation import prefer
from services.dicom_ingest.domain.part10_meta import FileMeta
from shared.errors import CausewayError, RetryLater, Unprocessable

#: Failure Reason (0008,1197) beside those of C-STORE (PS3.18 table I.2-2).
PROCESSING_FAILURE, TRANSFER_SYNTAX_NOT_SUPPORTED = 0x0110, 0xC122
#: The range A9xx is that of data sets which do not match; A900 itself speaks of the SOP class.
OTHER_STUDY = 0xA901
#: Warning Reason (0008,1196): stored, but the data set is not what the file meta information says (table I.2-3).
DISAGREES = 0xB007

#: Why the disk takes no more: the whole site must wait, not only this sender.
_DISK_FULL = frozenset({"disk-low", "spool-enospc", "spool-edquot"})
#: A version, the ids of trace and parent, flags, and what higher versions may add (W3C Trace Context section 3.2).
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True)
class StowRules:
    """Limits of requests: their number, what each may bring (bytes, parts), how slow it may be (seconds, bytes/s)."""

    max_requests: int
    max_parts: int
    max_request: int
    idle: float
    min_throughput: int
    grace: float


class RequestRefused(Unprocessable):
    """The request as a whole is wrong, or cannot be heard to its end; ``http_status`` says how."""

    def __init__(self, reason: str, http_status: int) -> None:
        super().__init__(reason)
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class Names:
    """The UIDs that a part has, empty where it has none or they are not known; those that many share are held once."""

    sop_class: str = ""
    sop_instance: str = ""
    study: str = ""
    series: str = ""

    def __post_init__(self) -> None:
        for name in ("sop_class", "study", "series"):
            object.__setattr__(self, name, sys.intern(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one part: stored (``failure`` None), or not and why; ``kind`` is the HTTP status of that alone."""

    names: Names
    failure: int | None = None
    warning: int | None = None
    kind: int = 200


def check_supported(meta: FileMeta, takes: Callable[[str], bool]) -> None:
    """InstanceRefused for what C-STORE would not negotiate either (PS3.4 annex B); ``takes`` tells of a SOP class."""
    if not takes(meta.sop_class):
        raise InstanceRefused("no-storage-class", NO_SUCH_SOP_CLASS)
    if prefer([meta.transfer_syntax]) is None:
        raise InstanceRefused("transfer-syntax", TRANSFER_SYNTAX_NOT_SUPPORTED)


def failed(names: Names, error: Exception) -> Outcome:
    """The outcome of a part that ended with this error."""
    if isinstance(error, InstanceRefused):
        return Outcome(names, error.status, kind=409)
    if isinstance(error, RequestRefused):
        return Outcome(names, CANNOT_UNDERSTAND, kind=error.http_status)
    if isinstance(error, RetryLater):
        return Outcome(names, OUT_OF_RESOURCES, kind=_status_of_refusal(error))
    return Outcome(names, CANNOT_UNDERSTAND if isinstance(error, CausewayError) else PROCESSING_FAILURE, kind=409)


def _status_of_refusal(error: RetryLater) -> int:
    if error.reason == "instance-too-large":
        return 413
    return 507 if error.reason in _DISK_FULL else 503


def stored(told: Names, written: Names) -> Outcome:
    """The outcome of a part whose file meta information told ``told`` and whose data set says ``written``."""
    pairs = ((told.sop_class, written.sop_class), (told.sop_instance, written.sop_instance))
    agrees = all(own in ("", given) for given, own in pairs)
    names = Names(told.sop_class, told.sop_instance, written.study, written.series)
    return Outcome(names, warning=None if agrees else DISAGREES)


def status_of(outcomes: Iterable[Outcome]) -> int:
    """200 all stored, 202 some or with warnings, else what all failed of, 409 for a mixture (PS3.18 table 10.5.3-1)."""
    told = list(outcomes)
    kinds = {each.kind for each in told if each.failure is not None}
    if not told:
        return 400
    if any(each.failure is None for each in told):
        return 202 if kinds or any(each.warning for each in told) else 200
    return kinds.pop() if len(kinds) == 1 else 409


def continued(traceparent: str | None) -> str | None:
    """The sender's trace to go on with, None without one (W3C Trace Context); always recorded on this side.

    Of a version that is not known yet the fields of the first one are read, as that says.
    """
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None or (found[1] == "00" and found[3] is not None):
        return None
    return f"00-{found[2]}-01"
