"""Storage commitment: the request as it is read, the report as it is written (PS3.4 annex J, PS3.7 section 10)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from contracts.events import CommitmentDecided, CommitmentRequested, Referenced
from services.dicom_ingest.domain.command import Command, InstanceRefused
from services.dicom_ingest.domain.negotiation import COMMITMENT, is_identifier, is_storage
from services.dicom_ingest.domain.peers import CallBack
from services.dicom_ingest.domain.requests import is_within_bounds
from shared.identity import SiteKey

#: The only SOP instance of the class, the only action, and the two reports (PS3.4 sections J.3.2, J.3.3 and J.3.5).
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_ACTION = 1
ALL_COMMITTED, SOME_FAILED = 1, 2

#: More instances than this are asked for in several requests. One event carries them, and a message has a limit.
MOST_REFERENCES = 10_000
#: Bytes of the data set that names them.
LONGEST_REQUEST = 4 * 1024 * 1024

#: Status of an N-ACTION (PS3.7 section 10.1.4.1.10).
PROCESSING_FAILURE, NO_SUCH_INSTANCE, INVALID_ARGUMENT = 0x0110, 0x0112, 0x0115
NO_SUCH_CLASS, NO_SUCH_ACTION, RESOURCE_LIMITATION = 0x0118, 0x0123, 0x0213

_TRANSACTION, _REFERENCED, _CLASS, _INSTANCE = 0x00081195, 0x00081199, 0x00081150, 0x00081155
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


class RequestRefused(InstanceRefused):
    """A request for commitment is not taken; ``status`` is that of the N-ACTION."""


@dataclass(frozen=True)
class Asked:
    """What a peer asked for: (SOP class, SOP instance), each once, in its order."""

    transaction_uid: str
    references: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the request whatever the order of its instances, 64 hexadecimal digits."""
        lines = [self.transaction_uid, *sorted(f"{sop_class}\t{uid}" for sop_class, uid in self.references)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check(command: Command, abstract_syntax: str) -> None:
    """RequestRefused unless the N-ACTION is a request for commitment (PS3.4 section J.3.2)."""
    if abstract_syntax != COMMITMENT or command.sop_class != COMMITMENT:
        raise RequestRefused("no-such-class", NO_SUCH_CLASS)
    if command.sop_instance != WELL_KNOWN_INSTANCE:
        raise RequestRefused("no-such-instance", NO_SUCH_INSTANCE)
    if command.action != REQUEST_ACTION:
        raise RequestRefused("no-such-action", NO_SUCH_ACTION)


def read(data_set: bytes, transfer_syntax: str) -> Asked:
    """The request in the action information (PS3.4 table J.3-1); RequestRefused when it is none."""
    if max(data_set.count(tag) for tag in _ITEM_TAGS) > 2 * MOST_REFERENCES:
        raise RequestRefused("too-many-instances", RESOURCE_LIMITATION)
    if not is_within_bounds(data_set, transfer_syntax, 2 * MOST_REFERENCES):
        raise RequestRefused("unreadable-request", INVALID_ARGUMENT)
    try:
        asked = _asked(_parse(data_set, transfer_syntax))
    except Exception:
        # Whatever the parser stumbles over, and its text may hold what a peer wrote.
        raise RequestRefused("unreadable-request", INVALID_ARGUMENT) from None
    if not asked.references or not all(map(is_identifier, _uids(asked))):
        raise RequestRefused("incomplete-request", INVALID_ARGUMENT)
    if len(asked.references) > MOST_REFERENCES:
        raise RequestRefused("too-many-instances", RESOURCE_LIMITATION)
    return asked


def _parse(data_set: bytes, transfer_syntax: str) -> Dataset:
    syntax = UID(transfer_syntax)
    tags = [_TRANSACTION, _REFERENCED]
    return read_dataset(
        BytesIO(data_set),
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        specific_tags=tags,
    )


def _asked(found: Dataset) -> Asked:
    named = ((_uid(item, _CLASS), _uid(item, _INSTANCE)) for item in found[_REFERENCED].value)
    return Asked(_uid(found, _TRANSACTION), tuple(dict.fromkeys(named)))


def _uid(found: Dataset, tag: int) -> str:
    """As it was sent: pydicom's own conversion would warn, and print what it warns of."""
    return bytes(found.get_item(tag).value or b"").rstrip(b"\0 ").decode("ascii")


def _uids(asked: Asked) -> list[str]:
    return [asked.transaction_uid, *(uid for pair in asked.references for uid in pair)]


def requested(
    asked: Asked, *, calling_ae: str, called_ae: str, site_key: SiteKey, now: datetime, peer: str | None = None
) -> CommitmentRequested:
    """The event that tells a request; the same request of the same title has the same id. ``peer``: ``call_backs``."""
    classes: dict[str, list[str]] = {}
    for sop_class, uid in asked.references:
        classes.setdefault(sop_class, []).append(uid)
    return CommitmentRequested(
        commitment_id=site_key.token("commitment", calling_ae, asked.transaction_uid, asked.digest),
        transaction_uid=asked.transaction_uid,
        calling_ae=calling_ae,
        called_ae=called_ae,
        referenced=tuple(
            Referenced(sop_class_uid=sop_class, stored=is_storage(sop_class), sop_instance_uids=tuple(uids))
            for sop_class, uids in classes.items()
        ),
        requested=now,
        peer=peer,
    )


def event_type(decision: CommitmentDecided) -> int:
    """The event type of the report of a decision (PS3.4 section J.3.3.1.1)."""
    return SOME_FAILED if any(each.reason is not None for each in decision.outcomes) else ALL_COMMITTED


def information(decision: CommitmentDecided) -> Dataset:
    """The event information of the report of a decision (PS3.4 table J.3-2)."""
    report = Dataset()
    report.TransactionUID = decision.transaction_uid
    failed: list[Dataset] = []
    committed: list[Dataset] = []
    for outcome in decision.outcomes:
        for uid in outcome.sop_instance_uids:
            (committed if outcome.reason is None else failed).append(_item(outcome.sop_class_uid, uid, outcome.reason))
    if failed:
        report.FailedSOPSequence = failed
    if committed:
        report.ReferencedSOPSequence = committed
    return report


def _item(sop_class: str, uid: str, reason: int | None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def encode(data_set: Dataset, transfer_syntax: str) -> bytes:
    """A data set in a transfer syntax that is not deflated."""
    syntax = UID(transfer_syntax)
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(file, data_set)
    return bytes(file.getvalue())


def settles(status: int) -> bool:
    """Whether an answer to a report ends it; after a failure of the moment it is made again (PS3.7 annex C)."""
    return status not in (PROCESSING_FAILURE, RESOURCE_LIMITATION)


def delay(attempt: int, first: float, longest: float) -> float:
    """Seconds to wait after so many attempts in vain (1 is the first)."""
    return float(min(longest, first * 2 ** min(attempt - 1, 20)))


def read_callbacks(text: str) -> dict[str, CallBack]:
    """``CT1=ct1.example:104,MR1=[fd00::2]:104`` by AE title; ValueError when it is not written like that."""
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        title, equals, address = part.partition("=")
        host, _, port = address.rpartition(":")
        if not equals or not host or not port.isdigit():
            raise ValueError("a call-back is written AE=host:port")
        found[title.strip()] = CallBack(host.strip("[]"), int(port), title.strip())
    return found
