"""The report of losses: every field that was valued and went nowhere, by name and never by value."""

from datetime import UTC, datetime

import pytest

from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from shared.identity import SiteKey
from tests.support.hl7 import CANARIES, adt, omi, orm

RECEIVED = datetime(2026, 12, 31, tzinfo=UTC)


def lost(content: bytes) -> tuple[str, ...]:
    reader = Reader(Site(patient_issuer="SITE", order_issuer="SITE"), SiteKey(b"k" * 32))
    return reader.decide(content, "r" * 32, RECEIVED).losses


VISIT = b"PV1|1|I|||||||||||||||||V1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (adt().replace(b"PV1|1|O\r", b""), ()),
        (adt().replace(b"PV1|1|O", VISIT), ()),
        (adt().replace(b"PV1|1|O", VISIT + b"|F1"), ("PV1-20",)),
        (adt(pid="PID|1||P1^^^HOSP^MR||Doe^Jane||||| 2106-3|").replace(b"PV1|1|O\r", b""), ("PID-10",)),
        (adt(pid="PID|1||P1^^M10^HOSP^MR||Doe^Jane^^^^^L^A").replace(b"PV1|1|O\r", b""), ("PID-3.3", "PID-5.8")),
        (adt(pid="PID|1||P1^^^HOSP^MR||Doe||soon|Q").replace(b"PV1|1|O\r", b""), ("PID-7", "PID-8")),
        (adt(pid='PID|1||P1||Doe||||||""|||').replace(b"PV1|1|O\r", b""), ()),
        (adt().replace(b"PV1|1|O\r", b"ZPI|1||x\rZPI|2||y\r"), ("ZPI-1", "ZPI-3", "ZPI[2]-1", "ZPI[2]-3")),
        (adt().replace(b"PV1|1|O\r", b"NK1|1|Doe^Jim|SPO\rNK1|2|Roe^Jo|||||||||||||M|19700101\r"), ("NK1[2]-16",)),
        (omi(), ("OBR-15",)),
        (orm(orc2="A^H", obr2="B^H"), ("OBR-2",)),
        (orm(orc2="A^H", obr2="A^H"), ()),
        (orm("SC", orc9="20260101"), ()),
        (orm(orc8="PL0^HIS"), ("ORC-8",)),
        (orm(orc12="77^House~78^Wilson"), ("ORC-12~2",)),
        (orm(obr31="R51^Headache^I10", tail="OBX|1|NM|1^Weight^L||70"), ("OBX-2", "OBX-3", "OBX-5")),
    ],
)
def test_what_goes_nowhere_is_listed(content: bytes, expected: tuple[str, ...]) -> None:
    assert lost(content) == expected


def test_names_are_told_and_values_never() -> None:
    content = adt(pid="PID|1||ZZCANARYID77||ZZCANARYNAME^^^^^^^^ZZCANARYNAME||19310213||||||||||||||||||||ZZCANARYACC9")
    told = " ".join(lost(content))
    assert "PID-27" in told
    assert not any(canary in told for canary in CANARIES)


def test_a_message_that_is_not_mapped_has_no_report() -> None:
    assert lost(adt("Z99")) == ()
