"""A modality's report on a performed step, as a DICOM file, as far as scheduled steps need it (PS3.4 annex F)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from services.hl7_fhir.domain.worklist.dicom_set import Asked, BadDataSet, Reader

_PREAMBLE = 132
_TRANSFER_SYNTAX = 0x00020010
_SCHEDULED_STEPS, _STEP_ID = 0x00400270, 0x00400009
_REASONS, _CODE, _SCHEME = 0x00400281, 0x00080100, 0x00080102
_SEQUENCES = frozenset((_SCHEDULED_STEPS, _REASONS, 0x00400340, 0x00081111, 0x00081110, 0x00400260, 0x0040030E))
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
#: Incorrect worklist entry selected (PS3.16 CID 9300).
_WRONG_ENTRY = ("110514", "DCM")
_MAX_ELEMENTS = 500_000


@dataclass(frozen=True)
class Report:
    """The ids of the scheduled steps that are fulfilled, and whether it was given up for a wrong choice of them."""

    step_ids: tuple[str, ...] = ()
    is_mistake: bool = False


def read_report(file: bytes) -> Report:
    """What the report says; BadDataSet when it is no DICOM file in a plain little endian syntax."""
    if file[128:_PREAMBLE] != b"DICM" or len(file) < _PREAMBLE + 12:
        raise BadDataSet("no-file")
    end = _PREAMBLE + 12 + struct.unpack_from("<I", file, _PREAMBLE + 8)[0]
    meta = Reader(file[_PREAMBLE:end], explicit=True, sequences=frozenset()).read()
    syntax = _text(meta, _TRANSFER_SYNTAX)
    if syntax not in (_IMPLICIT, _EXPLICIT):
        raise BadDataSet("other-syntax")
    reader = Reader(file[end:], explicit=syntax == _EXPLICIT, sequences=_SEQUENCES, most=_MAX_ELEMENTS)
    data = reader.read()
    ids = (_text(item, _STEP_ID) for item in _items(data, _SCHEDULED_STEPS))
    reasons = {(_text(item, _CODE), _text(item, _SCHEME)) for item in _items(data, _REASONS)}
    return Report(
        tuple(each for each in dict.fromkeys(ids) if 0 < len(each) <= 16)[:64],
        _WRONG_ENTRY in reasons,
    )


def _items(data: Mapping[int, Asked], tag: int) -> tuple[Mapping[int, Asked], ...]:
    return (data[tag].items or ()) if tag in data else ()


def _text(data: Mapping[int, Asked], tag: int) -> str:
    return data[tag].value.decode("latin-1").strip(" \0") if tag in data else ""
