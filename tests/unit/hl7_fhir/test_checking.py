"""What is checked before the acknowledgement: a message that passes is never refused afterwards."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.hl7_fhir.domain.clinical import decision as decisions
from services.hl7_fhir.domain.clinical.decision import TRIGGERS, Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.messages.checking import RULES, check
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import FieldMissing, Refused, SegmentError, TooMuch
from shared.identity import SiteKey
from tests.support.hl7 import adt, omi, orm

NOW = datetime(2026, 1, 2, tzinfo=UTC)
READER = Reader(Site(patient_issuer="SITE", order_issuer="SITE"), SiteKey(b"k" * 32))


def test_every_mapped_trigger_has_a_rule() -> None:
    assert set(RULES) == set(TRIGGERS)


@pytest.mark.parametrize(
    ("content", "refused", "place"),
    [
        (adt().replace(b"\rPID|", b"\rZPD|"), SegmentError, ("PID", 1, None)),
        (orm().replace(b"\rORC|", b"\rZRC|"), SegmentError, ("ORC", 1, None)),
        (orm().replace(b"ORC|NW", b"ORC|"), FieldMissing, ("ORC", 1, 1)),
        (omi() + b"ORC||A2\r", FieldMissing, ("ORC", 2, 1)),
        (omi().replace(b"\rORC|NW", b"\rNTE|1\rOBR|1\rORC|NW"), SegmentError, ("OBR", 1, None)),
        (adt() + b"not a segment\r", SegmentError, ("PV1", 1, None)),
        (adt(pid="PID|1||" + "A~" * 5000), TooMuch, ("PID", 1, 3)),
        (adt(pid="PID|1||P1||" + "&" * 5000), TooMuch, ("PID", 1, 5)),
        (adt(pid="PID|1||P1||" + "\\" * 5000), TooMuch, ("PID", 1, 5)),
        (adt(pid="PID" + "|" * 5000), TooMuch, ("PID", 1, None)),
        (adt() + b"ZZZ" + b"|" * 900 + b"\rZZZ|" + b"^" * 5000, TooMuch, ("ZZZ", 2, 1)),
    ],
)
def test_what_a_message_lacks_or_has_too_much_of_is_pointed_at(
    content: bytes, refused: type[Refused], place: tuple
) -> None:
    with pytest.raises(refused) as error:
        check(read(content, "utf-8"))
    found = error.value.place
    assert (found.segment, found.occurrence, found.field) == place


def test_many_segments_and_many_small_fields_are_no_trouble() -> None:
    check(read(adt() + b"".join(b"ZZZ|%d|a^b~c^d&e\r" % n for n in range(3000)), "utf-8"))


def test_a_trigger_that_is_not_mapped_need_have_nothing() -> None:
    check(read(adt("Z99").replace(b"\rPID|", b"\rZPD|"), "utf-8"))


@pytest.mark.parametrize(
    ("kind", "segment"),
    [("ORU^R01", b"OBR|1|PL1|FI1|24725-4^CT^LN\r"), ("SIU^S12", b"SCH|A1|||||R1\r")],
)
def test_results_and_appointments_without_a_patient_are_kept_and_not_mapped(kind: str, segment: bytes) -> None:
    header = adt().split(b"\r")[0].replace(b"ADT^A04", kind.encode()) + b"\r"
    check(read(header + segment, "utf-8"))
    decision = READER.decide(header + segment, "ref", NOW)
    assert (decision.occasion, decision.flags) == (None, ("patient-missing",))
    with pytest.raises(SegmentError):
        check(read(header, "utf-8"))


LINES = st.sampled_from(
    [
        "PID|1||P1^^^HOSP^MR||Doe^Jane",
        "PID",
        "EVN|A01|2026",
        "PV1|1|I|W^1^2|||||||||||||||||V1",
        "ORC|NW|A1|F1",
        "ORC",
        "ORC||A1",
        "OBR|1|A1|F1|C^T^L",
        "OBR",
        "OBX|1|NM|C^T^L||7|kg",
        "OBX|1|ED|C||^application^pdf^Base64^AA==",
        "OBX",
        "MRG|P2^^^HOSP^MR",
        "MRG",
        "TXA|1|DI|TX|2026||||||||D1^S",
        "TXA",
        "SCH|1^A|2^B||||R|||15|MIN|^^15^2026",
        "SCH",
        "AIS|1|A|C^T^L|2026",
        "AIL|1|A|W^1^2",
        "AIP|1|A|77^House",
        "AIG|1|A|X",
        "RGS|1",
        "IPC|A|B|1.2.3|S|CT",
        "ZDS|1.2.3",
        "TQ1|||||||2026||S",
        "NTE|1||text",
        "ZZZ|1",
        "not a segment",
        "PID|1||" + "A~" * 1000,
        "OBX|1|TX|C||" + "a~" * 1500,
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(TRIGGERS)), st.lists(LINES, max_size=8), st.booleans())
def test_what_passes_the_check_is_never_refused(trigger: tuple[str, str], lines: list[str], patient: bool) -> None:
    head = rf"MSH|^~\&|RIS|H|||20260101||{'^'.join(trigger)}|1|P|2.5"
    content = "\r".join([head, *(["PID|1||P1^^^HOSP^MR||Doe"] if patient else []), *lines]).encode()
    try:
        check(read(content, "utf-8"))
    except Refused:
        return
    decision = READER.decide(content, "r" * 32, NOW)
    assert isinstance(decision, decisions.Decision)
