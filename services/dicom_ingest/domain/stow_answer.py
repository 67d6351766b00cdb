"""The Store Instances Response Module as DICOM JSON or XML (PS3.18 annexes F and I, PS3.19 annex A.1)."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from pydicom.datadict import keyword_for_tag

from services.dicom_ingest.domain.stow import Names, Outcome
from services.dicom_ingest.domain.stow_media import JSON

RETRIEVE_URL, FAILED, REFERENCED, OTHER_FAILURES = "00081190", "00081198", "00081199", "0008119A"
SOP_CLASS, SOP_INSTANCE, WARNING_REASON, FAILURE_REASON = "00081150", "00081155", "00081196", "00081197"
_MODEL = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

DataSet = dict[str, dict[str, Any]]


def response(outcomes: Iterable[Outcome], base: str) -> DataSet:
    """DICOM JSON of what came of each part; ``base`` is the URL of the DICOMweb service.

    A part that names no instance is among the Other Failures, which have no reference.
    """
    told = list(outcomes)
    studies = {each.names.study for each in told if each.failure is None}
    sequences = {
        FAILED: [_failed(each) for each in told if each.failure is not None and each.names.sop_instance],
        REFERENCED: [_stored(each, base) for each in told if each.failure is None],
        OTHER_FAILURES: [_reason(each) for each in told if each.failure is not None and not each.names.sop_instance],
    }
    study = studies.pop() if len(studies) == 1 else ""
    return {
        RETRIEVE_URL: _element("UR", [f"{base}/studies/{study}"] if study else []),
        **{tag: _element("SQ", items) for tag, items in sequences.items() if items},
    }


def encode(answer: DataSet, media_type: str) -> bytes:
    """The body of the response."""
    return json.dumps(answer, separators=(",", ":")).encode() if media_type == JSON else _xml(answer)


def _stored(outcome: Outcome, base: str) -> DataSet:
    warning = {WARNING_REASON: _element("US", [outcome.warning])} if outcome.warning else {}
    return {**_reference(outcome.names), RETRIEVE_URL: _element("UR", _url(outcome.names, base)), **warning}


def _failed(outcome: Outcome) -> DataSet:
    return {**_reference(outcome.names), **_reason(outcome)}


def _reason(outcome: Outcome) -> DataSet:
    return {FAILURE_REASON: _element("US", [outcome.failure])}


def _reference(names: Names) -> DataSet:
    return {SOP_CLASS: _element("UI", [names.sop_class]), SOP_INSTANCE: _element("UI", [names.sop_instance])}


def _url(names: Names, base: str) -> list[str]:
    """Where the instance will be, as in a search (PS3.18 section 10.6.3); none without study and series."""
    if not names.study or not names.series:
        return []
    return [f"{base}/studies/{names.study}/series/{names.series}/instances/{names.sop_instance}"]


def _element(vr: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _xml(answer: DataSet) -> bytes:
    root = ElementTree.Element("NativeDicomModel", {"xmlns": _MODEL, "xml:space": "preserve"})
    _fill(root, answer)
    encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded


def _fill(parent: ElementTree.Element, answer: DataSet) -> None:
    for tag, element in sorted(answer.items()):
        attributes = {"tag": tag, "vr": element["vr"], "keyword": keyword_for_tag(int(tag, 16))}
        attribute = ElementTree.SubElement(parent, "DicomAttribute", attributes)
        for number, value in enumerate(element.get("Value", ()), start=1):
            name = "Item" if element["vr"] == "SQ" else "Value"
            child = ElementTree.SubElement(attribute, name, {"number": str(number)})
            if name == "Item":
                _fill(child, value)
            else:
                child.text = str(value)
