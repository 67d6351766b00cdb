"""Messages of our own: how far an order is, that a study can be had, and under which Study Instance UID it will be.

| what | message | from |
|---|---|---|
| status of an order | ORM^O01 or OMG^O19 with ORC-1 ``SC``, ORC-5, OBR-25; or ORU^R01 with OBR-25 | chapter 4, 4.4.1, 4.4.4, 4.5.1; IHE RAD-3 |
| a study is available | ORU^R01 with the UID in OBX (113014, DCM, "DICOM Study"), or ORM^O01 with ZDS, or OMI^O23 with IPC | chapter 7; IHE RAD-4 |
| a study UID was made here | ORM^O01 with ZDS-1, or OMI^O23 with IPC-3, both with ORC-1 ``XX`` | chapter 4, table 0119; IHE RAD-4 |

Values are written with escape sequences (chapter 2, section 2.7) and only as far as the oldest version (2.3.1) has
components for them.
"""  # noqa: E501

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import Enum

from services.hl7_fhir.domain.message import Repetition, first
from services.hl7_fhir.domain.receivers import Own
from services.hl7_fhir.domain.record import Fields


class State(Enum):
    """How far an order is: ORC-5 of table 0038."""

    SCHEDULED = "SC"
    IN_PROGRESS = "IP"
    COMPLETED = "CM"
    DISCONTINUED = "DC"


#: ORC-5 to OBR-25 (table 0123): images without a report are results that are stored and not verified.
_RESULT_STATUS = {State.SCHEDULED: "S", State.IN_PROGRESS: "I", State.COMPLETED: "R", State.DISCONTINUED: "X"}
_STRUCTURES = {"orm": "ORM^O01^ORM_O01", "omg": "OMG^O19^OMG_O19", "omi": "OMI^O23^OMI_O23", "oru": "ORU^R01^ORU_R01"}
#: What OBR-4 says of a study without an order (LOINC).
_ANY_STUDY = "18748-4^Diagnostic imaging study^LN"
#: Numbers of one patient that are told; what has more of them is no patient of one hospital.
_MOST_NUMBERS = 32
_DATE = re.compile(r"\d{4}(\d{2}){0,2}")
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


def write(form: str, own: Own, news: News, control_id: str, zone: tzinfo) -> str:
    """The message in ``form`` (a key of FORMS) with CR after each segment; times are local to ``zone``."""
    time = _time(news.when, zone)
    lines = [_msh(form, own, control_id, time), _pid(news.patient), _orc(news, time), _obr(news, time, zone)]
    if news.study_uid and form == "orm":
        lines.append(_segment("ZDS", {1: f"{_escaped(news.study_uid)}^^Application^DICOM"}))
    if news.study_uid and form in ("oru", "omg"):
        lines.append(_obx(news.study_uid, "F" if form == "oru" else "O"))
    if form == "omi":
        lines.append(_ipc(news))
    return "".join(line + "\r" for line in lines)


def encode(text: str, own: Own) -> tuple[bytes, bool]:
    """``text`` in the receiver's character set, with ``?`` for what that cannot hold, and whether it could hold all."""
    try:
        return text.encode(own.codec), True
    except UnicodeEncodeError:
        return text.encode(own.codec, "replace"), False


def _msh(form: str, own: Own, control_id: str, time: str) -> str:
    header = ["MSH", "^~\\&", own.application, own.facility, own.receiving_application, own.receiving_facility]
    return "|".join([*header, time, "", _STRUCTURES[form], control_id, "P", own.version, *[""] * 5, own.charset])


def _pid(patient: Fields) -> str:
    numbers = _numbers(patient, "PID-3") or _numbers(patient, "PID-2")
    names = patient.get("PID-5", ())
    birth = _DATE.match(first(patient.get("PID-7", ())))
    return _segment(
        "PID",
        {
            1: "1",
            3: numbers,
            5: _repetition(names[0], components=7) if names else "",
            7: birth.group() if birth else "",
            8: _escaped(first(patient.get("PID-8", ()))[:1]),
        },
    )


def _orc(news: News, time: str) -> str:
    placer, filler = _number(news.order, "ORC-2", "OBR-2"), _number(news.order, "ORC-3", "OBR-3")
    return _segment("ORC", {1: news.control, 2: placer, 3: filler, 5: news.state.value, 9: time})


def _obr(news: News, time: str, zone: tzinfo) -> str:
    order = news.order
    service = order.get("OBR-4", ())
    return _segment(
        "OBR",
        {
            1: "1",
            2: _number(order, "ORC-2", "OBR-2"),
            3: _number(order, "ORC-3", "OBR-3"),
            4: (_repetition(service[0], components=6) if service else "") or _ANY_STUDY,
            7: _time(news.started, zone) if news.started else "",
            18: _text(order, "OBR-18") or _escaped(news.accession or ""),
            19: _text(order, "OBR-19"),
            20: _text(order, "OBR-20"),
            22: time,
            24: _text(order, "OBR-24") or _escaped(news.modality or ""),
            25: _RESULT_STATUS[news.state],
        },
    )


def _obx(study_uid: str, status: str) -> str:
    return _segment("OBX", {1: "1", 2: "ST", 3: "113014^DICOM Study^DCM", 4: "1", 5: _escaped(study_uid), 11: status})


def _ipc(news: News) -> str:
    """IPC-1 to -5 as the order had them; else what OBR-18 to -20 say, else the accession or order number."""
    order = news.order
    number = _number(order, "ORC-3", "OBR-3") or _number(order, "ORC-2", "OBR-2")
    accession = _text(order, "OBR-18") or _escaped(news.accession or "") or number
    return _segment(
        "IPC",
        {
            1: _entity(order, "IPC-1") or accession,
            2: _entity(order, "IPC-2") or _text(order, "OBR-19") or accession,
            3: _escaped(news.study_uid or ""),
            4: _entity(order, "IPC-4") or _text(order, "OBR-20") or accession,
            5: _text(order, "IPC-5") or _escaped(news.modality or ""),
        },
    )


def _segment(name: str, fields: Mapping[int, str]) -> str:
    last = max(number for number, value in fields.items() if value)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def _number(order: Fields, *names: str) -> str:
    return next((found for name in names if (found := _entity(order, name))), "")


def _entity(order: Fields, name: str) -> str:
    """EI: the first repetition."""
    value = order.get(name, ())
    return _repetition(value[0], components=4) if value else ""


def _text(order: Fields, name: str) -> str:
    return _escaped(first(order.get(name, ())))


def _numbers(patient: Fields, name: str) -> str:
    known = patient.get(name, ())[:_MOST_NUMBERS]
    return "~".join(found for repetition in known if (found := _cx(repetition)))


def _cx(repetition: Repetition) -> str:
    """CX-1, -4 and -5: number, assigning authority, kind of number."""
    parts = [repetition[at] if len(repetition) > at else () for at in (0, 3, 4)]
    number, authority, kind = (_subcomponents(part, most) for part, most in zip(parts, (1, 3, 1), strict=True))
    return f"{number}^^^{authority}^{kind}".rstrip("^") if number else ""


def _repetition(repetition: Repetition, components: int) -> str:
    return "^".join(_subcomponents(component, 1) for component in repetition[:components]).rstrip("^")


def _subcomponents(component: Sequence[str], most: int) -> str:
    return "&".join(_escaped(part.strip()) for part in component[:most]).rstrip("&")


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(sign) or (f"\\X{ord(sign):02X}\\" if _is_control(sign) else sign) for sign in text)


def _is_control(sign: str) -> bool:
    return sign < " " or "\x7f" <= sign <= "\x9f"


def _time(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")
