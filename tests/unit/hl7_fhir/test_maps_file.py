"""Maps as YAML: what is wrong is told with its line, and a site overrides rows and codes without touching code."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.hl7_fhir.adapters.maps import site_maps
from services.hl7_fhir.domain.clinical import order, patient
from services.hl7_fhir.domain.clinical.order import orders_of
from services.hl7_fhir.domain.clinical.record import Site, fields_of, merge
from services.hl7_fhir.domain.clinical.said import body
from services.hl7_fhir.domain.mapping.registry import APPLIES, MAKES, SPANS
from services.hl7_fhir.domain.mapping.rows import Trace
from services.hl7_fhir.domain.mapping.shipped import documents, shipped, with_site
from services.hl7_fhir.domain.messages.message import read
from shared.yaml_lines import DocumentRefused
from tests.support.hl7 import adt, orm

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def order_at(site: Site, content: bytes) -> tuple[order.OrderSaid, dict[str, Any]]:
    said = orders_of(read(content, "utf-8"), site)[0]
    return said, order.resource(order.updated({}, said, WHEN), "p" * 32, site)


def patient_at(site: Site, content: bytes) -> dict[str, Any]:
    fields = fields_of(read(content, "utf-8").segments, patient.wanted(site))
    return patient.resource(merge({}, fields, WHEN), site)


def test_the_shipped_maps_name_only_what_there_is() -> None:
    maps = shipped()
    assert {each.target for each in maps.segments} == {
        "Appointment", "DiagnosticReport", "DocumentReference", "Encounter", "Location", "Observation", "Organization",
        "Patient", "Practitioner", "Provenance", "ServiceRequest",
    }  # fmt: skip
    assert {name for name, each in maps.datatypes.items() if not each.rows} <= set(MAKES) | set(SPANS)
    assert not {name for name, each in maps.datatypes.items() if each.rows} & set(MAKES)


def test_every_shipped_concept_map_and_function_is_used() -> None:
    text = "".join(text for name, text in documents() if name != "concepts.yaml")
    inside = {"NameType", "TelecommunicationUseCode", "IdentifierType", "CodingSystem", "YesNo"}
    for name in set(shipped().concepts) - inside - {"TelecommunicationEquipmentType"}:
        assert f"concepts: {name}" in text or f'concepts: "{name}"' in text, name
    for name in APPLIES:
        assert f"apply: {name}" in text or f'apply: "{name}"' in text, name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("segments: {'PID[Patient]': {rows: [{feld: PID-5, element: name}]}}", "site.yaml:1: unknown key 'feld'"),
        (
            "segments:\n  PID[Patient]:\n    rows:\n      - {field: PID5, element: name}",
            "site.yaml:4: 'PID5' is no field",
        ),
        ("segments: {PID: {rows: []}}", "'PID' must be named like PID[Patient]"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: 'a b'}]}}", "'a b' is no path"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, map: Nope}]}}", "no data type map 'Nope'"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, concepts: Nope}]}}", "no concept map 'Nope'"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, apply: Nope}]}}", "no function Nope"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, if: maybe}]}}", "a condition reads"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, shape: {x: y}}]}}", "a shape holds '$'"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5, element: a, issuer: me}]}}", "issuer is"),
        ("segments: {'PID[Patient]': {rows: [{element: a}]}}", "a row has a field or a value"),
        ("segments: {'PID[Patient]': {rows: [{field: PID-5}]}}", "a row has no 'element'"),
        ("segments: {'PID[Patient]': {drop: [nothing], rows: [{field: PID-5, element: a}]}}", "no row of Patient"),
        ("concepts: {A: {codes: {x: {display: d}}}}", "a code has no 'code'"),
        ("datatypes: {'XAD[Address]': {rows: [{field: XAD3, element: city}]}}", "'XAD3' is no field"),
        ("datatypes: {'XAD[Address]': {rows: [{field: PID-3, element: city}]}}", "are of its components: XAD-1"),
        ("datatypes: {Nope: {}}", "there is no data type map Nope"),
        ("segments: [", "not YAML"),
        ("", "the document is empty"),
        ("others: {}", "unknown key 'others'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        with_site("site.yaml", text)
    assert told in str(refused.value)
    assert str(refused.value).startswith("site.yaml:")


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = "segments:\n  PID[Patient]:\n    rows:\n      - {field: A, element: a}\n      - {field: B, element: b}\n"
    with pytest.raises(DocumentRefused) as refused:
        with_site("site.yaml", text)
    assert [problem.line for problem in refused.value.problems] == [4, 5]


@pytest.mark.parametrize(("field", "found"), [("ORC-3", "FI1"), ("OBR-20", "A20"), ("ORC-2", "PL1")])
def test_a_site_says_where_the_accession_number_is(field: str, found: str) -> None:
    text = f"""
segments:
  OBR[ServiceRequest]:
    drop: ["identifier[accession]"]
    rows:
      - {{field: {field}, element: "identifier[accession]", map: "EI[Identifier-Accession]", type: ACSN, issuer: order}}
"""
    site = Site(order_issuer="SITE", maps=with_site("site.yaml", text))
    said, made = order_at(site, orm(obr20="A20"))
    assert said.accession is not None
    assert said.accession.value == found
    kinds = {one["type"]["coding"][0]["code"]: one["value"] for one in made["identifier"] if "type" in one}
    assert kinds["ACSN"] == found


def test_a_sites_row_comes_before_the_shipped_ones() -> None:
    text = "segments: {'ORC[ServiceRequest]': {rows: [{field: ORC-21.1, element: requester.display}]}}"
    _, made = order_at(Site(maps=with_site("site.yaml", text)), orm(orc12="77^House^Greg", orc21="Ward 7^L"))
    assert made["requester"] == {"display": "Ward 7"}


def test_a_site_maps_segments_of_its_own() -> None:
    text = """
segments:
  ZPI[Patient]:
    source: own
    rows:
      - field: ZPI-3
        element: "extension[]"
        map: "CWE[CodeableConcept]"
        shape: {url: "https://hosp.example/insurance", valueCodeableConcept: $}
"""
    site = Site(maps=with_site("site.yaml", text))
    made = patient_at(site, adt() + b"ZPI|1||GKV^Statutory^L\r")
    assert made["extension"][0]["url"] == "https://hosp.example/insurance"


def test_a_site_changes_codes_without_touching_the_others() -> None:
    text = "concepts: {AdministrativeSex: {codes: {D: other}}}"
    site = Site(maps=with_site("site.yaml", text))
    assert patient_at(site, adt(pid="PID|1||P1||Doe|||D"))["gender"] == "other"
    assert patient_at(site, adt(pid="PID|1||P1||Doe|||F"))["gender"] == "female"
    assert "gender" not in patient_at(Site(), adt(pid="PID|1||P1||Doe|||D"))


def test_a_file_of_the_site_is_read_and_no_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "maps.yaml"
    path.write_text("concepts: {AdministrativeSex: {codes: {D: other}}}")
    assert site_maps(path).concepts["AdministrativeSex"].find("d")
    assert site_maps(None) is shipped()


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ("PID-8 valued", True),
        ("PID-9 valued", False),
        ("PID-9 not valued", True),
        ("PID-3.4 equals hosp", True),
        ("PID-3.4 not equals HOSP", False),
        ("PID-8 in (M, F)", True),
        ("PID-8 not in (M, F)", False),
        ("PID-8 valued and PID-9 valued", False),
        ("PID-8 valued and PID-9 not valued", True),
    ],
)
def test_conditions_decide_whether_a_row_applies(condition: str, applies: bool) -> None:
    text = f"segments: {{'PID[Patient]': {{rows: [{{element: language, value: de, if: '{condition}'}}]}}}}"
    assert ("language" in patient_at(Site(maps=with_site("s.yaml", text)), adt())) is applies


def test_the_trace_names_what_was_read() -> None:
    site = Site()
    fields = fields_of(read(adt(), "utf-8").segments, patient.wanted(site))
    trace = Trace()
    body("Patient", fields, "p", site, trace)
    assert set(trace.read) == {"PID-3", "PID-5", "PID-7", "PID-8"}
    assert 6 not in trace.read["PID-3"]


def test_a_site_says_what_becomes_of_a_component() -> None:
    text = """
    datatypes:
      XAD[Address]:
        rows:
          - {field: XAD-3, element: text}
          - {field: XAD-8, element: "line[own]"}
    """
    pid = "PID|1||P1^^^HOSP||Doe||1980|F|||Lane 1^^Bern^^^^^Near the river"
    (address,) = patient_at(Site(maps=with_site("site.yaml", text)), orm(pid=pid))["address"]
    assert address == {"text": "Bern", "line": ["Near the river", "Lane 1"], "city": "Bern"}


def test_a_site_has_data_types_of_its_own() -> None:
    text = """
    datatypes:
      ZXX[Address]: {rows: [{field: ZXX-2, element: city}]}
    segments:
      PID[Patient]: {rows: [{field: PID-11, element: "address[]", map: "ZXX[Address]"}]}
    """
    site = Site(maps=with_site("site.yaml", text))
    assert patient_at(site, orm(pid="PID|1||P1^^^HOSP||Doe||||||x^Bern"))["address"] == [{"city": "Bern"}]


def test_a_site_names_its_coding_systems_and_kinds_of_ids() -> None:
    text = """
    concepts:
      CodingSystem: {codes: {99HOSP: "https://hospital.example/codes"}}
      IdentifierType: {codes: {HID: HID}}
    """
    site = Site(maps=with_site("site.yaml", text))
    pid = "PID|1||P1^^^HOSP^HID||Doe||||||||||^^^de^German^99HOSP"
    made = patient_at(site, orm(pid=pid.replace("^^^de", "de")))
    assert made["communication"][0]["language"]["coding"][0]["system"] == "https://hospital.example/codes"
    assert made["identifier"][0]["type"]["coding"][0]["code"] == "HID"
    assert patient_at(Site(), orm(pid=pid))["identifier"][0]["type"] == {"text": "HID"}
