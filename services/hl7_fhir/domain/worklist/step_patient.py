"""PID, PV1, AL1 and OBX to what a worklist says of the patient (PS3.4 table K.6-1, IHE RAD TF-2 appendix B)."""

from services.hl7_fhir.domain.clinical.record import Fields, Site
from services.hl7_fhir.domain.clinical.step_fields import ALLERGIES, HEIGHT, WEIGHT, texts
from services.hl7_fhir.domain.mapping import datatypes
from services.hl7_fhir.domain.mapping.identity import RANKED_KINDS
from services.hl7_fhir.domain.messages.message import Field, Repetition, first, part
from services.hl7_fhir.domain.worklist import dicom_text
from services.hl7_fhir.domain.worklist.dicom_set import DataSet, Value
from services.hl7_fhir.domain.worklist.keys import IDENTIFIERS, VRS

_SEX = {"M": "M", "F": "F", "O": "O", "A": "O", "N": "O"}
#: PV1-15, table 0009: B6 is "pregnant"; the others describe how somebody moves, sees, hears.
_PREGNANT = "B6"
_NEEDS = {
    "A1": "Ambulates with assistive device",
    "A2": "Wheelchair or stretcher bound",
    "A3": "Comatose; non-responsive",
    "A4": "Disoriented",
    "A5": "Vision impaired",
    "A6": "Hearing impaired",
    "A7": "Speech impaired",
    "A8": "Non-English speaking",
    "A9": "Functional level unknown",
    "B1": "Oxygen therapy",
    "B2": "Special equipment (tubes, IVs, catheters)",
    "B3": "Amputee",
    "B4": "Mastectomy",
    "B5": "Paraplegic",
}


class Sheet:
    """A data set in the making; ``cut`` are the tags of values that did not fit."""

    def __init__(self) -> None:
        self.data: dict[int, Value] = {}
        self.cut: list[int] = []

    def put(self, tag: int, value: str) -> None:
        """Write ``value`` as far as its VR has room; an identifier that has no room is left empty."""
        vr = VRS[tag]
        if vr == "AE":  # several, each checked where they were made
            self.data[tag] = value
            return
        cleaned = dicom_text.clean(value, vr)
        if dicom_text.is_too_long(cleaned, vr):
            self.cut.append(tag)
            cleaned = "" if tag in IDENTIFIERS else dicom_text.cut(cleaned, vr)
        self.data[tag] = cleaned

    def identify(self, tag: int, value: str, instead: str) -> None:
        """Write an identifier of type 1: ``instead`` where it is missing or too long."""
        self.put(tag, value)
        self.data[tag] = self.data[tag] or instead


def add_patient(sheet: Sheet, order: Fields, patient: Fields, site: Site) -> str | None:
    """Write everything about the patient and the visit; why the step cannot be listed, None when it can."""
    sheet.put(0x00100010, dicom_text.person_name(patient.get("PID-5", ())))
    problem = _add_identity(sheet, patient, site)
    sheet.put(0x00100030, _birth_date(sheet, first(patient.get("PID-7", ()))))
    sheet.put(0x00100040, _SEX.get(first(patient.get("PID-8", ())).upper(), ""))
    sheet.put(0x00101030, first(order.get(WEIGHT, ())))
    sheet.put(0x00101020, first(order.get(HEIGHT, ())))
    sheet.put(0x00101040, _address(patient.get("PID-11", ())))
    sheet.put(0x00104000, "")
    _add_visit(sheet, order)
    return problem or (None if sheet.data[0x00100010] else "patient-name-missing")


def _add_visit(sheet: Sheet, order: Fields) -> None:
    ambulatory = [value.upper() for value in texts(order.get("PV1-15", ()))]
    sheet.put(0x001021C0, "3" if _PREGNANT in ambulatory else "")
    sheet.put(0x00380050, "; ".join(_NEEDS[code] for code in ambulatory if code in _NEEDS))
    sheet.put(0x00380500, _described(order.get("OBR-12", ())))
    sheet.put(0x00102000, _described(order.get("OBR-13", ())))
    sheet.put(0x00102110, "; ".join(filter(None, (_described((each,)) for each in order.get(ALLERGIES, ())))))
    sheet.put(0x00403001, first(order.get("PV1-16", ())))
    sheet.put(0x00380010, first(order.get("PV1-19", ())))
    sheet.data[0x00380014] = _issuer_items(order.get("PV1-19", ()))
    place = order.get("PV1-3", ())
    sheet.put(0x00380300, "^".join(part(place[0], n) for n in range(1, 5)).rstrip("^") if place else "")


def _issuer_items(visit: Field) -> Value:
    namespace = first(visit, 4)
    return [{0x00400031: dicom_text.clean(namespace, "UT")}] if namespace else []


def _described(coded: Field) -> str:
    """The text of a CE or of plain text."""
    return part(coded[0], 2) or part(coded[0], 1) if coded else ""


def _add_identity(sheet: Sheet, patient: Fields, site: Site) -> str | None:
    """The id that is a patient's own, who issued it, and the others; an unidentified patient keeps a temporary id."""
    listed = [each for each in (*patient.get("PID-3", ()), *patient.get("PID-2", ())) if part(each, 1)]
    listed.sort(key=_rank)
    chosen = listed[0] if listed else ()
    sheet.put(0x00100020, part(chosen, 1) if chosen else "")
    namespace = part(chosen, 4) if chosen else ""
    universal, kind = (part(chosen, 4, 2), part(chosen, 4, 3)) if chosen else ("", "")
    sheet.put(0x00100021, namespace or universal or (site.patient_issuer if chosen else ""))
    qualified = universal and kind
    sheet.data[0x00100024] = [{0x00400032: universal, 0x00400033: kind}] if qualified else []
    sheet.data[0x00101002] = [_other(each, site) for each in listed[1:16]]
    if sheet.data[0x00100020]:
        return None
    return "patient-id-too-long" if chosen else "patient-id-missing"


def _rank(repetition: Repetition) -> int:
    kind = part(repetition, 5)
    return RANKED_KINDS.index(kind) if kind in RANKED_KINDS else len(RANKED_KINDS)


def _other(repetition: Repetition, site: Site) -> DataSet:
    item = Sheet()
    item.put(0x00100020, part(repetition, 1))
    item.put(0x00100021, part(repetition, 4) or part(repetition, 4, 2) or site.patient_issuer)
    item.put(0x00100022, "TEXT")
    return item.data


def _birth_date(sheet: Sheet, sent: str) -> str:
    """DA has days; a date with less is told in FHIR only."""
    date = datatypes.date(sent)
    if date is None or len(date) < 10:
        if sent:
            sheet.cut.append(0x00100030)
        return ""
    return date.replace("-", "")


def _address(addresses: Field) -> str:
    if not addresses:
        return ""
    return ", ".join(filter(None, (part(addresses[0], number) for number in range(1, 7))))
