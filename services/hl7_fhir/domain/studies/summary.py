"""A study as the catalogue's summary tells of it (format ``causeway.study-summary/1``), in FHIR's words.

Read leniently: what an image says wrongly is left out, never refused, since the study is there all the same.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from services.hl7_fhir.domain.mapping import datatypes
from services.hl7_fhir.domain.mapping.datatypes import Json, text_of, valued
from shared.errors import Unprocessable

DICOM_CODES = "http://dicom.nema.org/resources/ontology/DCM"
_SNOMED = "http://snomed.info/sct"
_BODY_PARTS = "urn:x-causeway:dicom:body-part-examined"

#: Laterality (0020,0060) in the codes of PS3.16 CID 244.
_LATERALITY = {"R": ("24028007", "Right"), "L": ("7771000", "Left"), "B": ("51440002", "Right and left")}

_UID = re.compile(r"[0-9]+(\.[0-9]+)*\Z")
_OFFSET = re.compile(r"[+-]\d{4}\Z")
_MODALITY = re.compile(r"[A-Z0-9_ ]{1,16}\Z")
_ODD_SPACE = re.compile(r"[^\S \r\n\t]")
_LARGEST = 2**31 - 1


class SummaryBroken(Unprocessable):
    """The document is no summary."""


@dataclass(frozen=True)
class Images:
    """What the images of a study say. ``elements`` are those of ImagingStudy that depend on them alone.

    The tokens are those of all its instances: more than one of a kind means that they contradict each other.
    """

    patients: frozenset[str] = frozenset()
    accessions: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    started: datetime | None = field(default=None, repr=False)
    elements: Json = field(default_factory=dict, repr=False)


def read_summary(document: bytes, zone: tzinfo, most: int) -> Images:
    """The images that ``document`` tells of; SummaryBroken when it is none.

    ``zone`` is that of times without an offset. Of more than ``most`` instances none is listed, only counted.
    """
    try:
        told = json.loads(document)
        listed = [one for one in told["series"] if is_uid(one["series_uid"])]
        few = sum(len(one["instances"]) for one in listed) <= most
        series = [_series(one, told.get("utc_offset"), zone, few) for one in sorted(listed, key=_order)]
        return _images(told, series, zone)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SummaryBroken("study-summary-broken") from None


def is_uid(value: Any) -> bool:
    """Whether ``value`` is a UID that FHIR's id can hold (PS3.5 section 9.1)."""
    return isinstance(value, str) and len(value) <= 64 and _UID.match(value) is not None


def _images(told: Mapping[str, Any], series: list[Json], zone: tzinfo) -> Images:
    started = _time(told.get("study_date"), told.get("study_time"), told.get("utc_offset"))
    modalities = sorted({one["modality"]["code"] for one in series})
    elements = valued(
        modality=[{"system": DICOM_CODES, "code": code} for code in modalities],
        started=datatypes.date_time(started, zone),
        description=_text(told.get("description")),
        series=series,
    )
    return Images(
        patients=frozenset(told.get("patient_tokens", ())),
        accessions=frozenset(told.get("accession_tokens", ())),
        modalities=frozenset(modalities),
        started=datatypes.moment(started, zone),
        elements=elements or {},
    )


def _order(one: Mapping[str, Any]) -> tuple[int, str]:
    number = _number(one.get("number"))
    return (_LARGEST if number is None else number, one["series_uid"])


def _series(one: Mapping[str, Any], offset: Any, zone: tzinfo, few: bool) -> Json:
    """ImagingStudy.series; a series that names no modality is ``OT``, Other, since FHIR demands one."""
    newest = {row["sop_instance_uid"]: row for row in one["instances"]}
    modality = one.get("modality")
    code = modality if isinstance(modality, str) and _MODALITY.match(modality) else "OT"
    rest = valued(
        number=_number(one.get("number")),
        description=_text(one.get("description")),
        bodySite=_body_site(one.get("body_part")),
        laterality=_laterality(one.get("laterality")),
        started=datatypes.date_time(_time(one.get("date"), one.get("time"), offset), zone),
        instance=_instances(newest.values()) if few else None,
    )
    whole = {"uid": one["series_uid"], "modality": {"system": DICOM_CODES, "code": code.strip() or "OT"}}
    return {**whole, "numberOfInstances": len(newest), **(rest or {})}


def _instances(rows: Iterable[Mapping[str, Any]]) -> list[Json]:
    shown = [_instance(row) for row in rows if is_uid(row["sop_instance_uid"]) and is_uid(row["sop_class_uid"])]
    return sorted(shown, key=lambda made: (made.get("number", _LARGEST), made["uid"]))


def _instance(row: Mapping[str, Any]) -> Json:
    made = {"uid": row["sop_instance_uid"]}
    sop_class = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{row['sop_class_uid']}"}
    number = _number(row.get("number"))
    return {**made, "sopClass": sop_class, **({} if number is None else {"number": number})}


def _number(value: Any) -> int | None:
    """An unsignedInt; DICOM's integer strings may be negative."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal() or len(value) > 10:
        return None
    return int(value) if int(value) <= _LARGEST else None


def _text(value: Any) -> str | None:
    """A FHIR string, whose only white space is that of its pattern (R4 section 2.24.0.1)."""
    return text_of(_ODD_SPACE.sub(" ", value)) if isinstance(value, str) else None


def _body_site(value: Any) -> Json | None:
    """Body Part Examined (0018,0015) as it is: a term of PS3.16 annex L, or of the modality's own."""
    part = datatypes.code_of(value) if isinstance(value, str) else None
    return {"system": _BODY_PARTS, "code": part, "display": part} if part else None


def _laterality(value: Any) -> Json | None:
    found = _LATERALITY.get(value) if isinstance(value, str) else None
    return {"system": _SNOMED, "code": found[0], "display": found[1]} if found else None


def _time(day: Any, clock: Any, offset: Any) -> str:
    """DA and TM (PS3.5 section 6.2) as HL7's DTM; without a date it is empty, without a whole minute a day."""
    if not isinstance(day, str) or len(day) != 8:
        return ""
    if not isinstance(clock, str) or len(clock.partition(".")[0]) not in (4, 6):
        return day
    zone = offset if isinstance(offset, str) and _OFFSET.match(offset) else ""
    return day + clock.partition(".")[0] + zone
