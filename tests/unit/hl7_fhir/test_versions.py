"""Messages of versions 2.2 to 2.8: the same things said in the places that each version has for them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.hl7_fhir.domain.clinical.decision import Decision, Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.clinical.said import body
from services.hl7_fhir.domain.mapping.identity import Identity
from shared.identity import SiteKey
from tests.support.fhir import assert_valid

SITE = Site(patient_issuer="SITE", order_issuer="SITE", key=SiteKey(b"k" * 32))
RECEIVED = datetime(2026, 12, 31, tzinfo=UTC)
VERSIONS = ["2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.2"]


def decide(*lines: str) -> Decision:
    return Reader(SITE, SiteKey(b"k" * 32)).decide("\r".join(lines).encode(), "r" * 32, RECEIVED)


def order_of(decision: Decision) -> dict[str, Any]:
    made = body("ServiceRequest", decision.orders[0].fields, "p", SITE)
    assert_valid({**made, "id": "o"})
    return made


def header(version: str, kind: str, trigger: str) -> str:
    structure = f"^{kind}_{trigger}" if version > "2.3" else ""
    marks = r"^~\&#" if version >= "2.7" else r"^~\&"
    return f"MSH|{marks}|RIS|H|C|H|20260101||{kind}^{trigger}{structure}|1|P|{version}"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_is_the_same_in_every_version(version: str) -> None:
    timing = ["TQ1|||||||20260102083000||S"] if version >= "2.5" else []
    quantity = "" if timing else "^^^20260102083000^^S"
    decision = decide(
        header(version, "ORM", "O01"),
        "PID|1||P1^^^HOSP^MR||Doe^Jane||19800203|F",
        f"ORC|NW|PL1^HIS|FI1^RIS||SC||{quantity}||20260101||||77^House^Greg",
        *timing,
        "OBR|1|PL1^HIS|FI1^RIS|24725-4^CT Head^LN||||||||||||||ACC1||||||CT",
    )
    made = order_of(decision)
    assert (made["status"], made["priority"]) == ("active", "stat")
    assert made["occurrenceTiming"]["repeat"]["boundsPeriod"] == {"start": "2026-01-02T08:30:00+00:00"}
    assert decision.patient is not None
    assert decision.patient.identity == Identity("HOSP", "P1")


def test_version_2_2_has_the_patients_number_in_pid_2_without_an_issuer() -> None:
    decision = decide(header("2.2", "ADT", "A01"), "EVN|A01|20260101", "PID|1|E1|||Doe^Jane", "PV1|1|I")
    assert decision.patient is not None
    assert decision.patient.identity == Identity("SITE", "E1")


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.8"])
def test_an_imaging_order_may_come_as_omi_or_omg(version: str) -> None:
    for kind, trigger, tail in (
        ("OMI", "O23", "IPC|A7^HOSP|RP7|1.2.840.99.7|SPS7|MR"),
        ("OMG", "O19", "ZDS|1.2.840.99.7^^Application^DICOM"),
    ):
        decision = decide(
            header(version, kind, trigger), "PID|1||P1", "ORC|NW|PL1|FI1", "OBR|1|PL1|FI1|1^MR^L||||||||||||||A7", tail
        )
        named = {one["value"] for one in order_of(decision)["identifier"]}
        assert {"PL1", "FI1", "A7", "urn:oid:1.2.840.99.7"} <= named


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"), ("CA", "", "revoked"), ("OC", "", "revoked"), ("DC", "CA", "revoked"),
        ("XO", "SC", "active"), ("RP", "", "revoked"), ("RO", "", "active"), ("RU", "", "revoked"),
        ("SC", "CM", "completed"), ("SC", "IP", "active"), ("SC", "HD", "on-hold"), ("SC", "DC", "revoked"),
    ],
)  # fmt: skip
def test_order_control_and_status_make_the_status_of_the_request(control: str, state: str, status: str) -> None:
    decision = decide(
        header("2.5.1", "OMI", "O23"), "PID|1||P1", f"ORC|{control}|PL1|FI1||{state}", "OBR|1|PL1|FI1|1^MR^L"
    )
    assert order_of(decision)["status"] == status
