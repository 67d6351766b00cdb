"""The Store Instances Response Module as DICOM JSON or XML (PS3.18 annexes F and I, PS3.19 annex A.1)."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from pydicom.datadict import keyword_for_tag

from services.dicom_ingest.domain.stow import Names, Outcome
from services.dicom_ingest.domain.stow_media import JSON

RETRIEVE_URL, FAILED, REFERENCED, OTHER_FAILURES = "00081190", "00081198", "00081199", "0008119A"
SOP_CLASS, SOP_INSTANCE, WARNING_REASON, FAILURE_REASON = "00081150", "00081155", "00081196", "00081197"
_MODEL = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

#: Bytes of a piece of an answer, about: one to ten thousands of parts is not held whole.
_PIECE = 64 * 1024

DataSet = dict[str, dict[str, Any]]
#: A sequence by its tag, and its items one after the other.
_Sequences = list[tuple[str, Iterator[DataSet]]]


def encode(outcomes: Sequence[Outcome], base: str, media_type: str) -> Iterator[bytes]:
    """The body of the response in pieces: what came of each part; ``base`` is the URL of the DICOMweb service.

    A part that names no instance is among the Other Failures, which have no reference.
    """
    studies = {each.names.study for each in outcomes if each.failure is None}
    study = studies.pop() if len(studies) == 1 else ""
    head = {RETRIEVE_URL: _element("UR", [f"{base}/studies/{study}"] if study else [])}
    sequences: _Sequences = [
        (FAILED, (_failed(each) for each in outcomes if each.failure is not None and each.names.sop_instance)),
        (REFERENCED, (_stored(each, base) for each in outcomes if each.failure is None)),
        (
            OTHER_FAILURES,
            (_reason(each) for each in outcomes if each.failure is not None and not each.names.sop_instance),
        ),
    ]
    held = bytearray()
    for piece in (_json if media_type == JSON else _xml)(head, sequences):
        held += piece
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _json(head: DataSet, sequences: _Sequences) -> Iterator[bytes]:
    yield _told(head)[:-1]
    for tag, items in sequences:
        begin = b',"%s":{"vr":"SQ","Value":[' % tag.encode()
        for number, item in enumerate(items):
            yield (b"," if number else begin) + _told(item)
            begin = b""
        if not begin:
            yield b"]}"
    yield b"}"


def _told(answer: DataSet) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _xml(head: DataSet, sequences: _Sequences) -> Iterator[bytes]:
    """The tags come in their order."""
    yield b"<?xml version='1.0' encoding='utf-8'?>\n"
    yield b'<NativeDicomModel xmlns="%s" xml:space="preserve">' % _MODEL.encode()
    yield from _children(head)
    for tag, items in sequences:
        begin = b'<DicomAttribute tag="%s" vr="SQ" keyword="%s">' % (tag.encode(), _keyword(tag).encode())
        for number, item in enumerate(items, start=1):
            yield begin + b'<Item number="%d">' % number + b"".join(_children(item)) + b"</Item>"
            begin = b""
        if not begin:
            yield b"</DicomAttribute>"
    yield b"</NativeDicomModel>"


def _children(answer: DataSet) -> Iterator[bytes]:
    for tag, element in sorted(answer.items()):
        attribute = ElementTree.Element("DicomAttribute", {"tag": tag, "vr": element["vr"], "keyword": _keyword(tag)})
        for number, value in enumerate(element.get("Value", ()), start=1):
            ElementTree.SubElement(attribute, "Value", {"number": str(number)}).text = str(value)
        encoded: bytes = ElementTree.tostring(attribute, encoding="utf-8")
        yield encoded


@lru_cache
def _keyword(tag: str) -> str:
    return keyword_for_tag(int(tag, 16))


def _stored(outcome: Outcome, base: str) -> DataSet:
    warning = {WARNING_REASON: _element("US", [outcome.warning])} if outcome.warning else {}
    return {**_reference(outcome.names), RETRIEVE_URL: _element("UR", _url(outcome.names, base)), **warning}


def _failed(outcome: Outcome) -> DataSet:
    return {**_reference(outcome.names), **_reason(outcome)}


def _reason(outcome: Outcome) -> DataSet:
    return {FAILURE_REASON: _element("US", [outcome.failure])}


def _reference(names: Names) -> DataSet:
    named = ((SOP_CLASS, names.sop_class), (SOP_INSTANCE, names.sop_instance))
    return {tag: _element("UI", [uid] if uid else []) for tag, uid in named}


def _url(names: Names, base: str) -> list[str]:
    """Where the instance will be, as in a search (PS3.18 section 10.6.3); none without study and series."""
    if not names.study or not names.series:
        return []
    return [f"{base}/studies/{names.study}/series/{names.series}/instances/{names.sop_instance}"]


def _element(vr: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
