"""Messages of our own: how far an order is, that a study can be had, and under which Study Instance UID it will be.

| what | message | from |
|---|---|---|
| status of an order | ORM^O01 or OMG^O19 with ORC-1 ``SC``, ORC-5, OBR-25; or ORU^R01 with OBR-25 | chapter 4, 4.4.1, 4.4.4, 4.5.1; IHE RAD-3 |
| a study is available | ORU^R01 with the UID in OBX (113014, DCM, "DICOM Study"), or ORM^O01 with ZDS, or OMI^O23 with IPC | chapter 7; IHE RAD-4 |
| a study UID was made here | ORM^O01 with ZDS-1, or OMI^O23 with IPC-3, both with ORC-1 ``XX`` | chapter 4, table 0119; IHE RAD-4 |

Values are said only as far as the oldest version (2.3.1) has components for them.
"""  # noqa: E501

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import Enum

from services.hl7_fhir.domain.clinical.record import Fields
from services.hl7_fhir.domain.messages.message import Delimiters, Field, Repetition, Syntax, first
from services.hl7_fhir.domain.outgoing.receivers import Own


class State(Enum):
    """How far an order is: ORC-5 of table 0038."""

    SCHEDULED = "SC"
    IN_PROGRESS = "IP"
    COMPLETED = "CM"
    DISCONTINUED = "DC"


#: ORC-5 to OBR-25 (table 0123): images without a report are results that are stored and not verified.
_RESULT_STATUS = {State.SCHEDULED: "S", State.IN_PROGRESS: "I", State.COMPLETED: "R", State.DISCONTINUED: "X"}
#: MSH-9 of each form: message code, trigger event, structure.
_STRUCTURES = {
    "orm": ("ORM", "O01", "ORM_O01"),
    "omg": ("OMG", "O19", "OMG_O19"),
    "omi": ("OMI", "O23", "OMI_O23"),
    "oru": ("ORU", "R01", "ORU_R01"),
}
#: The data types of fields that the standard leaves open: a value of OBX-2 ``ST``, and ZDS-1 (IHE RAD-4).
DATA_TYPES = {"OBX_5": "ST", "ZDS_1": "RP"}
#: What OBR-4 says of a study without an order (LOINC).
_ANY_STUDY: Field = ((("18748-4",), ("Diagnostic imaging study",), ("LN",)),)
#: Numbers of one patient that are told; what has more of them is no patient of one hospital.
_MOST_NUMBERS = 32
_DATE = re.compile(r"\d{4}(\d{2}){0,2}")
_SYNTAX = Syntax(Delimiters("|", "^", "~", "\\", "&"), "utf-8")
_SPECIAL = {"|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "\\": "\\E\\", "&": "\\T\\"}


@dataclass(frozen=True)
class News:
    """What is to be told. ``patient`` and ``order`` are values by names such as ``PID-5``, ``order`` perhaps empty.

    ``control`` is ORC-1; ``started`` is when the study began, ``accession`` its own number where no order has one.
    """

    control: str
    state: State
    when: datetime
    patient: Fields = field(repr=False)
    order: Fields = field(repr=False)
    study_uid: str | None = None
    modality: str | None = None
    started: datetime | None = None
    accession: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SaidSegment:
    """A segment of a message of our own: its valued fields by their numbers, as plain text without escapes."""

    name: str
    fields: Mapping[int, Field] = field(repr=False)


def structure_of(form: str) -> str:
    """The message structure (table 0354) of ``form``, a key of FORMS: ``ORM_O01``."""
    return _STRUCTURES[form][2]


def said(form: str, own: Own, news: News, control_id: str, zone: tzinfo) -> tuple[SaidSegment, ...]:
    """What the message in ``form`` (a key of FORMS) says, segment by segment; times are local to ``zone``."""
    time = _time(news.when, zone)
    segments = [_msh(form, own, control_id, time), _pid(news.patient), _orc(news, time), _obr(news, time, zone)]
    if news.study_uid and form == "orm":
        segments.append(_segment("ZDS", {1: _one(news.study_uid, "", "Application", "DICOM")}))
    if news.study_uid and form in ("oru", "omg"):
        segments.append(_obx(news.study_uid, "F" if form == "oru" else "O"))
    if form == "omi":
        segments.append(_ipc(news))
    return tuple(segments)


def encode(text: str, own: Own) -> tuple[bytes, bool]:
    """``text`` in the receiver's character set, with ``?`` for what that cannot hold, and whether it could hold all."""
    try:
        return text.encode(own.codec), True
    except UnicodeEncodeError:
        return text.encode(own.codec, "replace"), False


def escaped(text: str) -> str:
    """``text`` with escape sequences (chapter 2, section 2.7) for the delimiters ``|^~\\&`` and control characters.

    Only for those of ASCII: for C1 each character set has other bytes, and they delimit nothing.
    """
    return "".join(_SPECIAL.get(sign) or (f"\\X{ord(sign):02X}\\" if _is_control(sign) else sign) for sign in text)


def _is_control(sign: str) -> bool:
    return sign < " " or sign == "\x7f"


def _msh(form: str, own: Own, control_id: str, time: str) -> SaidSegment:
    names = (own.application, own.facility, own.receiving_application, own.receiving_facility)
    fields = {number: _written(name) for number, name in enumerate(names, 3)}
    fields |= {7: _one(time), 9: _one(*_STRUCTURES[form]), 10: _one(control_id), 11: _one("P")}
    return _segment("MSH", {**fields, 12: _one(own.version), 18: _one(own.charset)})


def _written(name: str) -> Field:
    """A name as the file of receivers has it: already with delimiters and escapes."""
    return (tuple(tuple(map(_SYNTAX.plain, part.split("&"))) for part in name.split("^")),)


def _pid(patient: Fields) -> SaidSegment:
    numbers = _numbers(patient, "PID-3") or _numbers(patient, "PID-2")
    names = patient.get("PID-5", ())
    birth = _DATE.match(first(patient.get("PID-7", ())))
    return _segment(
        "PID",
        {
            1: _one("1"),
            3: numbers,
            5: _repetition(names[0], components=7) if names else (),
            7: _one(birth.group() if birth else ""),
            8: _one(first(patient.get("PID-8", ()))[:1]),
        },
    )


def _orc(news: News, time: str) -> SaidSegment:
    placer, filler = _number(news.order, "ORC-2", "OBR-2"), _number(news.order, "ORC-3", "OBR-3")
    fields = {1: _one(news.control), 2: placer, 3: filler, 5: _one(news.state.value), 9: _one(time)}
    return _segment("ORC", fields)


def _obr(news: News, time: str, zone: tzinfo) -> SaidSegment:
    order = news.order
    service = order.get("OBR-4", ())
    return _segment(
        "OBR",
        {
            1: _one("1"),
            2: _number(order, "ORC-2", "OBR-2"),
            3: _number(order, "ORC-3", "OBR-3"),
            4: (_repetition(service[0], components=6) if service else ()) or _ANY_STUDY,
            7: _one(_time(news.started, zone) if news.started else ""),
            18: _text(order, "OBR-18") or _one(news.accession or ""),
            19: _text(order, "OBR-19"),
            20: _text(order, "OBR-20"),
            22: _one(time),
            24: _text(order, "OBR-24") or _one(news.modality or ""),
            25: _one(_RESULT_STATUS[news.state]),
        },
    )


def _obx(study_uid: str, status: str) -> SaidSegment:
    name = _one("113014", "DICOM Study", "DCM")
    fields = {1: _one("1"), 2: _one("ST"), 3: name, 4: _one("1"), 5: _one(study_uid), 11: _one(status)}
    return _segment("OBX", fields)


def _ipc(news: News) -> SaidSegment:
    """IPC-1 to -5 as the order had them; else what OBR-18 to -20 say, else the accession or order number."""
    order = news.order
    number = _number(order, "ORC-3", "OBR-3") or _number(order, "ORC-2", "OBR-2")
    accession = _text(order, "OBR-18") or _one(news.accession or "") or number
    return _segment(
        "IPC",
        {
            1: _entity(order, "IPC-1") or accession,
            2: _entity(order, "IPC-2") or _text(order, "OBR-19") or accession,
            3: _one(news.study_uid or ""),
            4: _entity(order, "IPC-4") or _text(order, "OBR-20") or accession,
            5: _text(order, "IPC-5") or _one(news.modality or ""),
        },
    )


def _segment(name: str, fields: Mapping[int, Field]) -> SaidSegment:
    return SaidSegment(name, {number: value for number, value in fields.items() if value})


def _one(*components: str) -> Field:
    """One repetition of these components; nothing when all are empty."""
    return (tuple((component,) for component in components),) if any(components) else ()


def _number(order: Fields, *names: str) -> Field:
    return next((found for name in names if (found := _entity(order, name))), ())


def _entity(order: Fields, name: str) -> Field:
    """EI: the first repetition."""
    value = order.get(name, ())
    return _repetition(value[0], components=4) if value else ()


def _text(order: Fields, name: str) -> Field:
    return _one(first(order.get(name, ())))


def _numbers(patient: Fields, name: str) -> Field:
    known = patient.get(name, ())[:_MOST_NUMBERS]
    return tuple(found for repetition in known if (found := _cx(repetition)))


def _cx(repetition: Repetition) -> Repetition:
    """CX-1, -4 and -5: number, assigning authority, kind of number."""
    parts = [repetition[at] if len(repetition) > at else () for at in (0, 3, 4)]
    number, authority, kind = (_parts(part, most) for part, most in zip(parts, (1, 3, 1), strict=True))
    return (number, ("",), ("",), authority, kind) if any(number) else ()


def _repetition(repetition: Repetition, components: int) -> Field:
    found = tuple(_parts(component, 1) for component in repetition[:components])
    return (found,) if any(map(any, found)) else ()


def _parts(component: Sequence[str], most: int) -> tuple[str, ...]:
    return tuple(part.strip() for part in component[:most])


def _time(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")
