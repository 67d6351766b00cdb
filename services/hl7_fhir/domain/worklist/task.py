"""The FHIR R4 Task of a scheduled step (R4 section 12.13): the guide has no map for it, so this one is ours."""

from datetime import datetime
from typing import Any

from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.mapping import vocabulary
from services.hl7_fhir.domain.mapping.datatypes import Json, valued
from services.hl7_fhir.domain.worklist.dicom_set import DataSet, Value
from services.hl7_fhir.domain.worklist.keys import STEP
from services.hl7_fhir.domain.worklist.step import Step
from services.hl7_fhir.domain.worklist.step_state import TASK, State

_CODES = "http://dicom.nema.org/resources/ontology/DCM"
_PRIORITIES = {"STAT": "stat", "HIGH": "urgent", "ROUTINE": "routine"}


def resource(step: Step, state: State, order: str, patient: str, authored: datetime, site: Site) -> Json:
    """The Task that stands for ``step``, without id and meta. ``order`` and ``patient`` are ids of resources.

    Who shall do it, where and on what stand among ``input``, in the terms of DICOM: a modality has no resource here.
    """
    data = step.data
    inner = _items(data[STEP])[0]
    number = _text(inner, 0x00400009)
    begins = _begins(step, site)
    return {
        "resourceType": "Task",
        "identifier": [{"type": {"text": "Scheduled Procedure Step ID"}, "value": number}],
        "basedOn": [{"reference": f"ServiceRequest/{order}", "type": "ServiceRequest"}],
        "status": TASK[state],
        "businessStatus": {"text": state.value},
        "intent": "order",
        "for": {"reference": f"Patient/{patient}", "type": "Patient"},
        "authoredOn": authored.isoformat(timespec="seconds"),
        "restriction": {"period": {"start": begins}},
        "input": _inputs(data, inner, step),
        **(
            valued(
                priority=_PRIORITIES.get(_text(data, 0x00401003)),
                code=_concept(inner.get(0x00400008, []), site),
                description=_text(inner, 0x00400007),
            )
            or {}
        ),
    }


def _begins(step: Step, site: Site) -> str:
    local = datetime.strptime(step.starts, "%Y%m%d%H%M%S").replace(tzinfo=site.zone)
    return local.isoformat(timespec="seconds")


def _inputs(data: DataSet, inner: DataSet, step: Step) -> list[Json]:
    told: list[Json] = [
        {
            "type": _kind("0008,0060", "Modality"),
            "valueCoding": {"system": _CODES, "code": _text(inner, 0x00080060)},
        },
        {
            "type": _kind("0020,000D", "Study Instance UID"),
            "valueIdentifier": {
                "system": vocabulary.DICOM_UID_SYSTEM,
                "value": f"urn:oid:{_text(data, 0x0020000D)}",
            },
        },
    ]
    named = [("0040,0001", "Scheduled Station AE Title", station) for station in step.stations]
    for tag, number, name in (
        (0x00400010, "0040,0010", "Scheduled Station Name"),
        (0x00400011, "0040,0011", "Scheduled Procedure Step Location"),
        (0x00400006, "0040,0006", "Scheduled Performing Physician's Name"),
        (0x00401001, "0040,1001", "Requested Procedure ID"),
    ):
        if value := _text(inner, tag) or _text(data, tag):
            named.append((number, name, value))
    return told + [{"type": _kind(number, name), "valueString": value} for number, name, value in named]


def _kind(number: str, name: str) -> Json:
    return {"text": name, "coding": [{"system": "urn:oid:1.2.840.10008.2.6.1", "code": number, "display": name}]}


def _concept(codes: Value, site: Site) -> Json | None:
    codings: list[Any] = [
        valued(
            system=vocabulary.coding_system(_text(item, 0x00080102), site.maps.coding_systems),
            code=_text(item, 0x00080100) or _text(item, 0x00080119),
            display=_text(item, 0x00080104),
        )
        for item in _items(codes)
    ]
    return valued(coding=codings)


def _items(value: Value) -> list[DataSet]:
    return [] if isinstance(value, str) else value


def _text(data: DataSet, tag: int) -> str:
    value = data.get(tag, "")
    return value if isinstance(value, str) else ""
