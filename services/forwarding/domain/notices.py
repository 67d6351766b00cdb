"""What is told to a RIS: reports on procedure steps as they came, and which instances can be retrieved.

MPPS is PS3.4 annex F, Instance Availability Notification annex R. docs/operations/mpps.md says when which is sent.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from contracts.events import StepReported, StudyArchived
from services.forwarding.domain.answers import DELIVERED, DestinationAway, Outcome, failed, is_uid
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import InputDamaged
from shared.identity import SiteKey

STEPS, AVAILABILITY = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.5.1.4.33"
#: The SOP class that is spoken with a destination of a kind.
CLASSES = {"mpps": STEPS, "ian": AVAILABILITY}
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
#: What a notice may be sent in.
SYNTAXES = (EXPLICIT, IMPLICIT, BIG)

#: So many times a notice is sent to a destination that fails to process it; then it counts as not taken.
MOST_TRIES = 10
_DUPLICATE, _FAILURE, _ENDED, _LIMITED = 0x0111, 0x0110, 0xA710, 0x0213
_ELEMENT, _GROUP_LENGTH = struct.Struct("<HH2sH"), struct.Struct("<HH2sHI")
_PREAMBLE = 132

Fact = StepReported | StudyArchived


@dataclass(frozen=True)
class Notice:
    """An N-CREATE or N-SET, its data set encoded in ``transfer_syntax``."""

    operation: Literal["create", "set"]
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set: bytes


@dataclass(frozen=True)
class Item:
    """What a destination is to be told: the fact by its event's id, and its place in the stream."""

    id: str
    position: int
    fact: Fact

    @property
    def ref(self) -> str:
        """The step or the study that it is about."""
        return self.fact.step_ref if isinstance(self.fact, StepReported) else self.fact.study_ref


@dataclass(frozen=True)
class Answer:
    """Status and Error ID of a response (PS3.7 sections 10.3.3 and 10.3.5); 0 for no error."""

    status: int
    error_id: int = 0


def of_answer(operation: str, answer: Answer, tries: int) -> Outcome:
    """What an answer to the ``tries``-th attempt means (PS3.4 tables F.7.2-2 and R.3.2-2, PS3.7 annex C).

    DestinationAway where it will do later. What an attempt did whose answer was lost shows as a duplicate, or as a step
    that has ended: then it had arrived.
    """
    status, code = answer.status, f"status-{answer.status:04x}"
    if status == 0x0000:
        return DELIVERED
    has_arrived = operation == "create" and status == _DUPLICATE
    if operation == "set" and status == _FAILURE and answer.error_id == _ENDED:
        return Outcome(is_delivered=True, reason=code) if tries > 1 else failed("step-has-ended")
    if has_arrived or status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        return Outcome(is_delivered=True, reason=code)
    if status == _LIMITED or (status == _FAILURE and tries < MOST_TRIES):
        raise DestinationAway(code)
    return failed(code)


def report(file: bytes, fact: StepReported) -> Notice:
    """A report on a step as it came, from its DICOM file; InputDamaged when it is none."""
    meta, offset = _meta(file)
    sop_instance, syntax = meta.get(0x0003, ""), meta.get(0x0010, "")
    if not is_uid(sop_instance) or syntax not in SYNTAXES:
        raise InputDamaged
    return Notice("create" if fact.kind == "created" else "set", STEPS, sop_instance, syntax, file[offset:])


def _meta(file: bytes) -> tuple[dict[int, str], int]:
    """The UIDs of the File Meta Information by element, and where the data set begins (PS3.10 section 7.1)."""
    found: dict[int, str] = {}
    try:
        at = _PREAMBLE + _GROUP_LENGTH.size
        group, element, vr, _, length = _GROUP_LENGTH.unpack_from(file, _PREAMBLE)
        end = at + length
        if (group, element, vr) != (2, 0, b"UL") or end > len(file):
            raise InputDamaged
        while at < end:
            _, element, vr, length = _ELEMENT.unpack_from(file, at)
            start = at + _ELEMENT.size
            if vr == b"OB":
                start, length = at + 12, struct.unpack_from("<I", file, at + 8)[0]
            if vr == b"UI":
                found[element] = file[start : start + length].rstrip(b"\0 ").decode("ascii")
            at = start + length
    except (struct.error, UnicodeDecodeError):
        raise InputDamaged from None
    return found, end


def availability(summary: bytes, fact: StudyArchived, destination: Destination, site_key: SiteKey) -> Notice | None:
    """That the instances of an archived study can be retrieved (PS3.4 table R.3.2-1); None when none can.

    The study's summary names them; every batch of it is archived, so that each is in a proven identified copy.
    InputDamaged when the summary is none.
    """
    if not any(copy.form == "identified" for copy in fact.copies):
        return None
    try:
        told = _available(json.loads(summary)["series"], destination)
    except (ValueError, KeyError, TypeError):
        raise InputDamaged from None
    if not told:
        return None
    notice = Dataset()
    notice.ReferencedPerformedProcedureStepSequence = []
    notice.StudyInstanceUID = fact.study_uid
    notice.ReferencedSeriesSequence = told
    token = site_key.token("availability", fact.study_ref, fact.revision)
    return Notice("create", AVAILABILITY, f"2.25.{int(token, 16)}", EXPLICIT, _encode(notice, EXPLICIT))


def _available(series: Iterable[dict[str, Any]], destination: Destination) -> list[Dataset]:
    made = []
    for one in series:
        item = Dataset()
        item.SeriesInstanceUID = one["series_uid"]
        each = {row["sop_instance_uid"]: _instance(row, destination) for row in one["instances"]}
        item.ReferencedSOPSequence = list(each.values())
        if one["series_uid"] and each:
            made.append(item)
    return made


def _instance(row: dict[str, str], destination: Destination) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = row["sop_class_uid"]
    item.ReferencedSOPInstanceUID = row["sop_instance_uid"]
    item.InstanceAvailability = destination.availability
    item.RetrieveAETitle = destination.retrieve_ae
    return item


def encoded_as(notice: Notice, transfer_syntax: str) -> bytes:
    """The data set in a transfer syntax that the destination takes; as it is in its own. InputDamaged."""
    if transfer_syntax == notice.transfer_syntax:
        return notice.data_set
    syntax = UID(notice.transfer_syntax)
    try:
        data_set = read_dataset(BytesIO(notice.data_set), syntax.is_implicit_VR, syntax.is_little_endian)
        return _encode(data_set, transfer_syntax)
    except Exception:
        # Whatever the parser stumbles over, and its text may hold what a peer wrote.
        raise InputDamaged from None


def _encode(data_set: Dataset, transfer_syntax: str) -> bytes:
    syntax = UID(transfer_syntax)
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(file, data_set)
    return bytes(file.getvalue())
