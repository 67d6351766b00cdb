"""receivers.yaml: what it may say, and that every mistake is told with its line."""

from pathlib import Path

import pytest

from cli.describe import ROOT
from services.hl7_fhir.adapters.receivers import ReceiversFile
from services.hl7_fhir.domain.outgoing.receivers import Match, Receiver, Taken
from services.hl7_fhir.domain.outgoing.receivers_file import read_receivers
from shared.yaml_lines import DocumentRefused

HEAD = "format: causeway.receivers/1\nreceivers:\n  - name: ris\n    host: h\n    port: 1\n"


def taken(kind: str = "ADT", trigger: str = "A08", sender: str = "RIS", facility: str = "HOSP") -> Taken:
    return Taken(1, "r", kind, trigger, sender, facility)


def test_the_example_is_right_and_says_what_it_shows() -> None:
    found = read_receivers((ROOT / "examples" / "receivers.yaml").read_text())
    assert list(found) == ["old-pacs", "ris", "speech"]
    assert found["old-pacs"] == Receiver("old-pacs", "192.0.2.10", 2575)
    ris, speech = found["ris"], found["speech"]
    assert (ris.rules, ris.own.status, ris.own.version, ris.own.codec) == (None, "orm", "2.3.1", "iso8859-1")
    assert ris.tls is not None
    assert ris.tls.certificate == Path("/run/causeway/ris-client.crt")
    assert (speech.tries, speech.keep_open, speech.held, speech.longest) == (3, False, True, 60.0)


def test_a_site_begins_with_no_receivers() -> None:
    for place in ("base/site", "overlays/site"):
        assert read_receivers((ROOT / "k8s" / place / "receivers.yaml").read_text()) == {}


def test_a_receiver_gets_everything_that_was_taken_unless_it_says_otherwise() -> None:
    assert read_receivers(HEAD)["ris"].gets(taken("ZZZ", "Z01"))
    assert not read_receivers(HEAD + "    pass_on: none\n")["ris"].gets(taken())
    refused = Taken(1, "r", "ADT", "A08", "RIS", "HOSP", refused=True)
    assert not read_receivers(HEAD)["ris"].gets(refused)
    assert read_receivers(HEAD + "    refused: true\n")["ris"].gets(refused)


@pytest.mark.parametrize(
    ("rule", "fits", "fits_not"),
    [
        ("types: ADT", taken(), taken("ORM", "O01")),
        ("types: [ADT^A08, ORM]", taken("ORM", "O01"), taken("ADT", "A04")),
        ("senders: RIS", taken(sender="RIS^1.2.3^ISO"), taken(sender="RIS2")),
        ("{types: ADT, facilities: [HOSP, CLINIC]}", taken(facility="CLINIC"), taken(facility="")),
    ],
)
def test_a_rule_asks_for_type_trigger_sender_and_facility(rule: str, fits: Taken, fits_not: Taken) -> None:
    receiver = read_receivers(f"{HEAD}    pass_on:\n      - {rule}\n")["ris"]
    assert (receiver.gets(fits), receiver.gets(fits_not)) == (True, False)


def test_any_of_several_rules_is_enough() -> None:
    receiver = Receiver("r", "h", 1, rules=(Match(types=frozenset({"ADT"})), Match(senders=frozenset({"HIS"}))))
    assert receiver.gets(taken("ORM", "O01", sender="HIS"))
    assert not receiver.gets(taken("ORM", "O01"))


@pytest.mark.parametrize(
    ("lines", "line", "told"),
    [
        ("    prot: 2\n", 6, "did you mean 'port'"),
        ("    tls: {certificate: a}\n", 6, "go together"),
        ("    pass_on: some\n", 6, "one of all, none"),
        ("    pass_on:\n      - {}\n", 7, "without a condition"),
        ("    status: omi\n", 6, "one of orm, omg, oru"),
        ("    study_available: omi\n    version: 2.3.1\n", 7, "built in versions 2.5"),
        ("    status: orm\n    version: 2.7\n", 7, "built in versions 2.3.1"),
        ("    charset: KLINGON\n", 6, "table 0211"),
        ("    application: A|B\n", 6, "without delimiters"),
        ("    facility: A^1.2^ISO^B\n", 6, "at most 3 components"),
        ("    retry: {first: 2m}\n", 6, "must not be longer"),
        ("    tries: 0\n", 6, "at least 1"),
        ("  - name: ris\n    host: h\n    port: 70000\n", 6, "stands twice"),
        ("  - name: ris/x\n    host: h\n    port: 70000\n", 8, "at most 65535"),
        ("    keep_open: maybe\n", 6, "true, false"),
    ],
)
def test_every_mistake_is_told_with_its_line(lines: str, line: int, told: str) -> None:
    with pytest.raises(DocumentRefused) as refusal:
        read_receivers(HEAD + lines)
    assert any(problem.line == line and told in problem.text for problem in refusal.value.problems), refusal.value


def test_a_changed_file_is_read_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "receivers.yaml"
    current = ReceiversFile(path)
    assert current.get() == {}
    path.write_text("# nobody yet\n")
    assert current.get() == {}
    path.write_text(HEAD)
    assert list(current.get()) == ["ris"]
    path.write_text(HEAD + "    nonsense: 1\n")
    assert list(current.get()) == ["ris"]
    path.unlink()
    assert list(current.get()) == ["ris"]
    path.write_text("format: causeway.receivers/1\nreceivers: []\n")
    assert current.get() == {}


def test_a_file_that_is_wrong_at_the_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "receivers.yaml"
    path.write_text("receivers: 7\n")
    with pytest.raises(DocumentRefused):
        ReceiversFile(path)
