"""PID to Patient; ORC, OBR, TQ1, NTE, IPC and ZDS to ServiceRequest: what is said and that FHIR accepts it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.hl7_fhir.domain.clinical import order, patient
from services.hl7_fhir.domain.clinical.order import Fact, OrderSaid, orders_of
from services.hl7_fhir.domain.clinical.record import Site, fields_of, merge, values
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.messages.message import Message, read
from services.hl7_fhir.domain.messages.refusal import FieldMissing, SegmentError
from tests.support.fhir import assert_valid
from tests.support.hl7 import adt, omi, orm

SITE = Site(patient_issuer="SITE", order_issuer="SITE")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"

FULL_PID = (
    "PID|1|OLD1^^^HOSP|P1^5^M11^HOSP&1.2.3&ISO^MR^^19990101^20300101~S77^^^NHS^NH|ALT1|"
    "EVERYMAN&van&Man^ADAM^A^III^Dr.^MD^L~Nick^^^^^^N|SMITH^Angela|198808181126+0215|M|Ali^As|2106-3|"
    "1 Main St^Ste. 3^Ann Arbor^MI^99999^USA^H|GL|5551234^PRN^PH~^NET^Internet^a@b.example|5559999^WPN^CP|"
    "ara^Arabic^HL70296|M^Married|AME^Methodist^HL70006|ACC9|123-45-6789|DLN-1^US^20300101|M1|N|"
    "St. Francis|N|2|US^USA^ISO3166_1||CH^Swiss^L|20260101120000|Y|||||"
    "388490000^Canis^SCT|25243005^Toy poodle^SCT|||CA^Canada^L|^^CP^^41^79^7777777"
)


def patient_of(pid: str) -> Json:
    message = read(adt(pid=pid), "utf-8")
    record = merge({}, fields_of([message.required("PID")], patient.wanted(SITE)), WHEN)
    return patient.resource(record, SITE)


def order_of(content: bytes) -> tuple[OrderSaid, Json]:
    said = orders_of(read(content, "utf-8"), SITE)[0]
    return said, order.resource(order.updated({}, said, WHEN), "p" * 32, SITE)


def message_of(*lines: str) -> Message:
    return read("\r".join([r"MSH|^~\&|RIS|H|||20260101||ORM^O01|1|P|2.5", *lines]).encode(), "utf-8")


def test_every_mapped_field_of_pid_reaches_the_patient() -> None:
    made = patient_of(FULL_PID)
    assert_valid({**made, "id": "p1"})
    identifiers = [(one.get("system"), one["value"]) for one in made["identifier"]]
    assert identifiers == [
        ("urn:oid:1.2.3", "P1"),
        ("urn:x-causeway:issuer:NHS", "S77"),
        ("urn:x-causeway:issuer:HOSP", "OLD1"),
        ("urn:x-causeway:issuer:SITE", "ALT1"),
        (None, "123-45-6789"),
        ("urn:x-causeway:issuer:US", "DLN-1"),
    ]
    assert [name["family"] for name in made["name"]] == ["EVERYMAN", "Nick", "Ali"]
    assert made["birthDate"] == "1988-08-18"
    assert made["_birthDate"]["extension"][0]["valueDateTime"] == "1988-08-18T11:26:00+02:15"
    assert made["gender"] == "male"
    assert made["deceasedDateTime"] == "2026-01-01T12:00:00+00:00"
    assert "deceasedBoolean" not in made
    assert made["multipleBirthInteger"] == 2
    assert "multipleBirthBoolean" not in made
    assert made["address"][0]["district"] == "GL"
    assert made["maritalStatus"]["coding"][0]["code"] == "M"
    assert made["communication"][0]["language"]["coding"][0]["code"] == "ara"
    assert [point["value"] for point in made["telecom"]] == ["+41 79 7777777", "5551234", "a@b.example", "5559999"]
    assert {one["url"].removeprefix(EXTENSION) for one in made["extension"]} == {
        "patient-mothersMaidenName", "patient-religion", "patient-birthPlace", "patient-citizenship",
        "patient-nationality", "patient-animal",
    }  # fmt: skip


@pytest.mark.parametrize(
    "pid",
    [
        "PID|1",
        "PID|1||P1",
        'PID|1||P1||""|""|""|""',
        "PID|1||P1||Doe||19801301|Q|||^^^^^^H|X||||||||||||||||||||||",
        "PID|1||P1||Doe||1980||||||||||||||||||N|0",
        "PID|1||P1||Doe||19800101||||||||||||||||||Y||||||Y",
        "PID|1||^^^HOSP||^||||||||",
    ],
)
def test_sparse_and_odd_patients_are_still_valid_fhir(pid: str) -> None:
    assert_valid({**patient_of(pid), "id": "p1"})


def test_an_order_with_zds_becomes_a_service_request() -> None:
    said, made = order_of(orm(orc5="SC", orc7="^^^20260102083000^^S", orc9="20260101115900", orc12="77^House^Greg"))
    assert_valid({**made, "id": "o1"})
    assert made["status"] == "active"
    assert made["priority"] == "stat"
    assert made["authoredOn"] == "2026-01-01T11:59:00+00:00"
    assert made["requester"]["display"] == "Greg House"
    assert made["code"]["coding"][0] == {"system": "http://loinc.org", "code": "24725-4", "display": "CT Head"}
    assert made["occurrenceTiming"]["repeat"]["boundsPeriod"] == {"start": "2026-01-02T08:30:00+00:00"}
    assert identifiers_of(made) == {
        "PLAC": ("urn:x-causeway:issuer:HIS", "PL1"),
        "FILL": ("urn:x-causeway:issuer:RIS", "FI1"),
        "ACSN": ("urn:x-causeway:issuer:SITE", "ACC1"),
        None: ("urn:dicom:uid", "urn:oid:1.2.840.99.1"),
    }
    assert (order.study_uid(said.fields), order.modality(said.fields)) == ("1.2.840.99.1", "CT")


def test_an_imaging_order_with_ipc_becomes_a_service_request() -> None:
    said, made = order_of(omi())
    assert_valid({**made, "id": "o1"})
    assert identifiers_of(made) == {
        "PLAC": ("urn:x-causeway:issuer:HIS", "PL7"),
        "FILL": ("urn:x-causeway:issuer:RIS", "FI7"),
        "ACSN": ("urn:x-causeway:issuer:HOSP", "ACC7"),
        "Requested Procedure ID": ("urn:x-causeway:issuer:SITE", "RP7"),
        None: ("urn:dicom:uid", "urn:oid:1.2.840.99.7"),
    }
    assert made["orderDetail"][1]["coding"][0]["code"] == "MR"
    assert made["occurrenceTiming"]["repeat"]["boundsPeriod"] == {"start": "2026-01-02T08:30:00+01:00"}
    assert made["note"] == [{"text": "Left side"}]
    assert made["priority"] == "stat"
    assert (order.study_uid(said.fields), order.modality(said.fields)) == ("1.2.840.99.7", "MR")


def identifiers_of(made: Json) -> dict[str | None, tuple[str, str]]:
    def kind(one: Json) -> Any:
        named = one.get("type", {})
        return named["coding"][0]["code"] if "coding" in named else named.get("text")

    return {kind(one): (one["system"], one["value"]) for one in made["identifier"]}


def test_details_are_left_out_without_a_code() -> None:
    made = order_of(omi().replace(b"24700-7^MR Knee^LN", b""))[1]
    assert_valid({**made, "id": "o1"})
    assert "orderDetail" not in made


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"),
        ("NW", "SC", "active"),
        ("NW", "HD", "on-hold"),
        ("CA", "", "revoked"),
        ("CA", "SC", "revoked"),
        ("OC", "CA", "revoked"),
        ("DC", "", "revoked"),
        ("SC", "CM", "completed"),
        ("SC", "IP", "active"),
        ("XO", "", "unknown"),
        ("OH", "", "on-hold"),
        ("NW", "??", "active"),
    ],
)
def test_the_status_follows_control_code_and_order_status(control: str, state: str, status: str) -> None:
    assert order_of(orm(control, orc5=state))[1]["status"] == status


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, "active", Fact.PLACED),
        (None, "unknown", Fact.PLACED),
        (None, "revoked", Fact.CANCELLED),
        ("active", "revoked", Fact.CANCELLED),
        ("revoked", "revoked", Fact.CHANGED),
        ("active", "active", Fact.CHANGED),
        ("revoked", "active", Fact.CHANGED),
        ("active", "entered-in-error", Fact.CANCELLED),
    ],
)
def test_the_bus_hears_of_an_order_by_what_became_of_it(before: str | None, after: str, told: Fact) -> None:
    assert order.fact(before, after) is told


@pytest.mark.parametrize("control", ["UC", "UD", "SS", "SR"])
def test_a_code_that_only_asks_or_fails_leaves_the_status_as_it_was(control: str) -> None:
    placed, _ = order_of(orm("NW"))
    asked, _ = order_of(orm(control, orc5="CA"))
    record = order.updated(order.updated({}, placed, WHEN), asked, WHEN)
    assert order.status(values(record)) == "active"


@pytest.mark.parametrize("uid", ["1.2.840x", "1..2", "abc", "1." * 32 + "1", "1.2.3.", "-1.2", ""])
def test_what_is_no_uid_is_not_taken_for_one(uid: str) -> None:
    said, _ = order_of(orm(tail=f"ZDS|{uid}^^Application^DICOM"))
    assert order.study_uid(said.fields) is None


def test_each_orc_begins_an_order_of_its_own() -> None:
    said = orders_of(
        message_of("PID|1||P1", "ORC|NW|A1", "OBR|1|A1||C1", "ORC|CA|B1", "OBR|1|B1||C2", "ZDS|1.2.3"), SITE
    )
    assert [one.placer.value for one in said if one.placer] == ["A1", "B1"]
    assert [order.study_uid(one.fields) for one in said] == [None, "1.2.3"]


def test_notes_of_observations_are_not_notes_of_the_order() -> None:
    said = orders_of(
        message_of("PID|1||P1", "NTE|1||of patient", "ORC|NW|A1", "OBR|1", "NTE|1||of order", "OBX|1", "NTE|1||of obx"),
        SITE,
    )
    assert said[0].fields["NTE-3"] == ((("of order",),),)


def test_an_order_without_orc_or_control_code_is_refused() -> None:
    with pytest.raises(SegmentError):
        orders_of(message_of("PID|1||P1", "OBR|1|A1"), SITE)
    with pytest.raises(SegmentError):
        orders_of(message_of("PID|1||P1", "OBR|1|A1", "ORC|NW|A1"), SITE)
    with pytest.raises(FieldMissing):
        orders_of(message_of("PID|1||P1", "ORC||A1"), SITE)


def test_the_accession_number_comes_from_the_fields_that_the_site_names() -> None:
    content = read(orm(), "utf-8")
    said = orders_of(content, Site(accession_fields=("OBR-20", "ORC-3")))[0]
    assert said.accession is not None
    assert said.accession.value == "FI1"
