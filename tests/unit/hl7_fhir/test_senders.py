"""The registry of senders: who it is by names, addresses and certificates, and how a file of it is read."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.hl7_fhir.adapters.senders import Registry, senders_file
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.arrival import Name
from services.hl7_fhir.domain.intake.senders import Origin, Sender
from services.hl7_fhir.domain.intake.senders_file import read_senders
from shared.identity import SiteKey
from shared.yaml_lines import DocumentRefused

ROOT = Path(__file__).parents[3]
KEY = SiteKey(b"k" * 32)
OTHERS = Sender("", Site(patient_issuer="SITE", order_issuer="SITE"))
SHOWN = "5f0c2da81b3e44916a7d08e2c395b017fa62d48e337b590da6c1e8249f107cb5"


def test_the_example_is_read() -> None:
    senders = read_senders((ROOT / "examples/senders.yaml").read_text(), "senders.yaml", OTHERS)
    ris, his, far = senders.registered
    assert ris.site == Site(ZoneInfo("Europe/Berlin"), "HOSP", "RIS", ("OBR-18", "OBR-20", "ORC-3"))
    assert (ris.charset, ris.unsupported, ris.trouble, ris.strict) == ("iso8859-1", "accept", "reject", False)
    assert (his.unsupported, his.trouble, his.site) == ("reject", "hold", OTHERS.site)
    assert far.strict
    assert senders.others == OTHERS


@pytest.mark.parametrize(
    ("application", "facility", "origin", "name"),
    [
        ("RIS", "RADIOLOGY", Origin("10.20.3.4"), "ris"),
        ("RIS", "RADIOLOGY", Origin("::ffff:10.20.3.4"), "ris"),
        ("RIS", "RADIOLOGY", Origin("10.21.3.4"), ""),
        ("RIS", "ELSEWHERE", Origin("10.20.3.4"), ""),
        ("HIS", "", Origin("10.20.3.4", SHOWN), "his"),
        ("HIS", "", Origin("10.20.3.4"), ""),
        ("ANY", "", Origin("192.0.2.17"), "teleradiology"),
        ("ANY", "", Origin("no address"), ""),
    ],
)
def test_a_sender_is_known_by_all_that_its_entry_names(
    application: str, facility: str, origin: Origin, name: str
) -> None:
    senders = read_senders((ROOT / "examples/senders.yaml").read_text(), "senders.yaml", OTHERS)
    found = senders.who(application, facility, origin)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("senders:\n  - name: a", "x:2: a sender needs"),
        ("senders:\n  - name: a\n    applications: A\n    colour: red", "x:4: unknown key 'colour'"),
        ("senders:\n  - name: a\n    addresses: 10.1.2.3/8", "x:3: 'addresses' must be"),
        ("senders:\n  - name: a\n    applications: A\n    time_zone: Berlin", "x:4: 'time_zone' must be"),
        ("senders:\n  - name: a\n    applications: A\n    charset: klingon", "x:4: 'charset' must be"),
        ("senders:\n  - name: a\n    applications: A\n    trouble: panic", "x:4: 'trouble' must be one of"),
        (
            "senders:\n  - {name: a, applications: A}\n  - {name: a, applications: B}",
            "x:3: the sender 'a' stands twice",
        ),
        ("unknown: maybe\nsenders:\n  - {name: a, applications: A}", "x:1: 'unknown' must be one of"),
        ("senders:", "x:1: 'senders' must be a list"),
        ("unknown: accept", "x:1: the registry has no 'senders'"),
        ("", "x:1: the document is empty"),
    ],
)
def test_what_is_wrong_with_a_registry_is_told_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        read_senders(text, "x", OTHERS)
    assert problem in str(refused.value)


@pytest.mark.parametrize(("unknown", "known"), [("accept", True), ("reject", False)])
def test_a_registry_of_nobody_says_what_strangers_may(unknown: str, known: bool) -> None:
    senders = read_senders(f"unknown: {unknown}\nsenders: []", "x", OTHERS)
    assert (senders.who("RIS", "", Origin()) == OTHERS) == known


def test_the_registry_that_a_site_begins_with_lets_anybody_send() -> None:
    for place in ("cli/embedded", "k8s/base/site", "k8s/overlays/site"):
        senders = read_senders((ROOT / place / "senders.yaml").read_text(), "senders.yaml", OTHERS)
        assert (senders.registered, senders.others) == ((), OTHERS)


def test_a_changed_file_counts_from_the_next_message_on_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "senders.yaml"
    path.write_text("senders:\n  - {name: a, applications: RIS, patient_issuer: ONE}\n")
    registry = Registry(senders_file(path, OTHERS), OTHERS, KEY)
    assert registry.reader("a").site.patient_issuer == "ONE"
    path.write_text("senders:\n  - {name: a, applications: RIS, patient_issuer: OTHER}\n")
    assert registry.reader("a").site.patient_issuer == "OTHER"
    path.write_text("senders: [")
    assert registry.reader("a").site.patient_issuer == "OTHER"
    path.write_text("unknown: reject\nsenders:\n  - {name: b, applications: HIS}\n")
    assert registry.reader("a").site.patient_issuer == "SITE"
    assert registry.who(Name(application="RIS"), Origin()) is None
