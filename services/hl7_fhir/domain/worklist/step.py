"""An order and its patient to scheduled procedure steps, after IHE RAD TF-2 RAD-5 and appendix B, and PS3.4 annex K.

A value that is longer than its VR allows is cut and its tag told in ``cut``. What identifies something is never cut:
an accession number that is too long is answered empty (it has type 2) and still found by its full value; a procedure or
step id that is too long is replaced by one that stands for it; a patient id that is too long keeps the step off the
list, as does one that is missing, since a modality could not write it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.domain.clinical import order
from services.hl7_fhir.domain.clinical.record import Fields, Site
from services.hl7_fhir.domain.clinical.step_fields import steps_in
from services.hl7_fhir.domain.mapping import datatypes, vocabulary
from services.hl7_fhir.domain.messages.message import Field, Repetition, first, part
from services.hl7_fhir.domain.worklist import dicom_text
from services.hl7_fhir.domain.worklist.dicom_set import DataSet, Value, texts
from services.hl7_fhir.domain.worklist.keys import STEP
from services.hl7_fhir.domain.worklist.step_patient import Sheet, add_patient
from services.hl7_fhir.domain.worklist.step_state import State

#: When a step begins, first come first: field and component.
_STARTS = (("TQ1-7", 1), ("ORC-7", 4), ("OBR-27", 4), ("OBR-36", 1), ("OBR-6", 1), ("ORC-15", 1))
_PRIORITIES = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "T": "HIGH", "R": "ROUTINE"}
#: OBR-24 of table 0074, where that says which modality.
_SECTIONS = {"NMR": "MR", "NMS": "NM", "RUS": "US", "OUS": "US", "CUS": "US", "VUS": "US", "CTH": "XA"}
_UNIVERSAL_TYPES = vocabulary.words("DNS EUI64 ISO URI UUID X400 X500")


@dataclass(frozen=True)
class Rules:
    """What a site decides. ``stations`` are AE titles by modality for orders that name none.

    ``default_modality`` makes a step of every order without a modality; empty: such an order is no imaging order.
    """

    stations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    default_modality: str = ""
    charsets: Sequence[str] = tuple(dicom_text.CODECS)
    states: Mapping[str, State] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """An order whose steps are wanted; ``token`` stands for it where it has no number that fits."""

    fields: Fields = field(repr=False)
    token: str
    study_uid: str
    known_since: datetime


@dataclass(frozen=True)
class Step:
    """A scheduled step as a worklist answers it, without its state; ``name`` tells it from others of its order.

    ``starts`` is local time, ``YYYYMMDDHHMMSS``. ``accession`` is the whole number. ``problem`` is why it cannot be
    listed. Without ``stations`` it is for any station that asks.
    """

    name: str
    data: DataSet = field(repr=False)
    stations: tuple[str, ...]
    starts: str
    accession: str = field(repr=False)
    charset: str
    cut: tuple[int, ...]
    problem: str | None


def steps_of(asked: Order, patient: Fields, site: Site, rules: Rules) -> tuple[Step, ...]:
    """The scheduled steps of an order; none when it is no imaging order."""
    found: dict[str, Step] = {}
    for number, ipc in enumerate(steps_in(asked.fields), 1):
        modality = _modality(asked.fields, ipc, rules)
        if modality:
            step = _step(asked, ipc, number, modality, patient, site, rules)
            found.setdefault(step.name, step)
    return tuple(found.values())


def _modality(fields: Fields, ipc: Mapping[int, Field], rules: Rules) -> str:
    told = {**fields, "IPC-5": ipc.get(5, ())}
    section = _SECTIONS.get(first(fields.get("OBR-24", ())).upper())
    return order.modality(told) or section or rules.default_modality or ("OT" if ipc else "")


def _step(
    asked: Order,
    ipc: Mapping[int, Field],
    number: int,
    modality: str,
    patient: Fields,
    site: Site,
    rules: Rules,
) -> Step:
    top, inner = Sheet(), Sheet()
    fields = asked.fields
    starts = _starts(fields, asked.known_since, site)
    problem = add_patient(top, fields, patient, site)
    _add_request(top, asked, ipc)
    named = order.accession_of_step(fields, number)
    if named is None:
        named = order.accession({**fields, **{f"IPC-{n}": value for n, value in ipc.items()}}, site)
    accession = _add_accession(top, named)
    stations = _stations(ipc, modality, rules, inner)
    _add_step(inner, fields, ipc, asked.token, number)
    inner.put(0x00080060, modality)
    inner.put(0x00400001, "\\".join(stations))
    inner.put(0x00400002, starts[:8])
    inner.put(0x00400003, starts[8:])
    inner.put(0x00400020, State.SCHEDULED.value)
    top.data[STEP] = [inner.data]
    charset = dicom_text.character_set((text for _, text in texts(top.data)), rules.charsets)
    name = first(ipc.get(4, ())) or first(fields.get("OBR-20", ())) or str(number)
    cut = tuple(sorted({*top.cut, *inner.cut}))
    return Step(name, top.data, stations, starts, accession, charset, cut, problem)


def _starts(fields: Fields, known_since: datetime, site: Site) -> str:
    sent = (datatypes.moment(first(fields.get(name, ()), component), site.zone) for name, component in _STARTS)
    when = next((each for each in sent if each), known_since)
    local = when.astimezone(site.zone)
    return f"{local.year:04}" + local.strftime("%m%d%H%M%S")


def _stations(ipc: Mapping[int, Field], modality: str, rules: Rules, sheet: Sheet) -> tuple[str, ...]:
    """AE titles: those of IPC-9, else the site's for the modality. One that is too long is no AE title."""
    named = [dicom_text.clean(part(each, 1), "AE") for each in ipc.get(9, ())] or list(rules.stations.get(modality, ()))
    fitting = [each for each in named if each and each.isascii() and not dicom_text.is_too_long(each, "AE")]
    if len(fitting) < len([each for each in named if each]):
        sheet.cut.append(0x00400001)
    return tuple(dict.fromkeys(fitting))


def _add_request(sheet: Sheet, asked: Order, ipc: Mapping[int, Field]) -> None:
    """The requested procedure and the imaging service request (PS3.3 sections C.4.11 and C.4.12)."""
    fields = asked.fields
    procedure = _first_of(fields, "OBR-44", "OBR-4")
    told = first(ipc.get(2, ())) or _number_of(fields, "OBR-19", "ORC-3", "OBR-3", "ORC-2", "OBR-2")
    sheet.identify(0x00401001, told, asked.token[:16].upper())
    sheet.put(0x00321060, part(procedure[0], 2) or part(procedure[0], 1) if procedure else "")
    sheet.data[0x00321064] = _codes(sheet, procedure[:1], 1)
    sheet.put(0x0020000D, order.study_uid({"IPC-3": ipc.get(3, ())}) or asked.study_uid)
    sheet.data[0x00081110] = sheet.data[0x00081120] = []
    sheet.put(0x00401003, _priority(fields))
    sheet.put(0x00401004, _text(fields.get("OBR-30", ())))
    reasons = fields.get("OBR-31", ())
    sheet.put(0x00401002, _text(reasons))
    sheet.data[0x0040100A] = _codes(sheet, reasons, 1)
    notes = ("^".join("&".join(component) for component in each) for each in fields.get("NTE-3", ()))
    sheet.put(0x00401400, "\r\n".join(notes))
    for tag, numbers in ((0x00402016, order.PLACER), (0x00402017, order.FILLER)):
        sheet.put(tag, _number_of(fields, *numbers))
    sheet.put(0x00321032, dicom_text.person_name(_first_of(fields, "OBR-16", "ORC-12")[:1], 2))
    sheet.put(0x00080090, dicom_text.person_name(fields.get("PV1-8", ())[:1], 2))


def _add_accession(sheet: Sheet, named: Field) -> str:
    """The accession number and who issued it; the whole number is returned."""
    number = first(named)
    sheet.put(0x00080050, number)
    sheet.data[0x00080051] = issuer(sheet, first(named, 2), first(named, 3), first(named, 4)) if number else []
    return number


def _add_step(sheet: Sheet, fields: Fields, ipc: Mapping[int, Field], token: str, number: int) -> None:
    """The step itself (PS3.3 section C.4.10)."""
    protocol, at = (ipc[6], 1) if ipc.get(6) else _protocol(fields)
    sheet.data[0x00400008] = _codes(sheet, protocol, at)
    described = next(
        (each for repetition in protocol if (each := part(repetition, at + 1) or part(repetition, at))), ""
    )
    sheet.put(0x00400007, described)
    told = first(ipc.get(4, ())) or first(fields.get("OBR-20", ()))
    sheet.identify(0x00400009, told, f"{token[:13]}{number:03}".upper())
    sheet.put(0x00400010, first(ipc.get(7, ())))
    sheet.put(0x00400011, first(ipc.get(8, ())))
    sheet.put(0x00400006, _performer(fields.get("OBR-34", ())))
    for empty in (0x00400012, 0x00321070, 0x00400400):
        sheet.put(empty, "")


def _protocol(fields: Fields) -> tuple[Field, int]:
    """Components 4 to 6 of OBR-4 where the filler put the protocol there (RAD-4), else components 1 to 3."""
    service = fields.get("OBR-4", ())[:1]
    return (service, 4) if service and part(service[0], 4) else (service, 1)


def _performer(technicians: Field) -> str:
    """PN of OBR-34, whose first component is a CNN; some write the parts of the name as components."""
    if not technicians:
        return ""
    person: Repetition = technicians[0]
    if person and len(person[0]) > 1:
        person = tuple((each,) for each in person[0])
    return dicom_text.person_name((person[:9],), 2)


def _priority(fields: Fields) -> str:
    for name, component in (("TQ1-9", 1), ("OBR-5", 1), ("ORC-7", 6), ("OBR-27", 6)):
        if found := _PRIORITIES.get(first(fields.get(name, ()), component).upper()[:1]):
            return found
    return ""


def _codes(sheet: Sheet, coded: Field, at: int) -> Value:
    """Items of a code sequence (PS3.3 section 8.8) for the triplets that begin at component ``at``."""
    items: list[DataSet] = []
    for repetition in coded[:16]:
        value, meaning, scheme = (dicom_text.clean(part(repetition, at + n), "LO") for n in range(3))
        if not value:
            continue
        item = Sheet()
        item.put(0x00080119 if len(value) > 16 else 0x00080100, value)
        item.put(0x00080102, scheme or "L")
        item.put(0x00080104, meaning or value)
        sheet.cut += item.cut
        items.append(item.data)
    return items


def issuer(sheet: Sheet, namespace: str, universal: str, kind: str) -> Value:
    """The items of an issuer sequence (PS3.3 table 10-17), none when it names nobody."""
    if not namespace and not universal:
        return []
    item = Sheet()
    if namespace:
        item.put(0x00400031, namespace)
    if universal and kind in _UNIVERSAL_TYPES:
        item.put(0x00400032, universal)
        item.put(0x00400033, kind)
    return [item.data] if item.data else []


def _text(coded: Field) -> str:
    return part(coded[0], 2) or part(coded[0], 9) or part(coded[0], 1) if coded else ""


def _first_of(fields: Fields, *names: str) -> Field:
    """The first of the fields that says anything."""
    return next((fields[name] for name in names if any(map(any, (fields.get(name) or ((),))[0]))), ())


def _number_of(fields: Fields, *names: str) -> str:
    return next((number for name in names if (number := first(fields.get(name, ())))), "")
