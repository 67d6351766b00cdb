"""Acknowledgements: MSA-2 echoes, ERR points, and neither tells a value of the message."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.intake import acknowledgement
from services.hl7_fhir.domain.intake.acknowledgement import Trouble, codes
from services.hl7_fhir.domain.messages.envelope import Envelope
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import Place

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def acknowledge(content: bytes, code: str, now: datetime, control_id: str, trouble: Trouble | None = None) -> bytes:
    return acknowledgement.acknowledge(Envelope.of(content), code, now, control_id, trouble)


def header(version: str = "2.5", control_id: str = "C1", charset: str = "") -> bytes:
    return rf"MSH|^~\&|RIS|HOSP|CW|SITE|20260101||ADT^A08|{control_id}|T|{version}||||||{charset}".encode()


def segments(answer: bytes) -> dict[str, list[str]]:
    return {line[:3]: line.split("|") for line in answer.decode("latin-1").split("\r") if line}


def test_the_answer_goes_back_to_the_sender_and_echoes_its_control_id() -> None:
    told = segments(acknowledge(header(), "AA", NOW, "X1"))
    assert told["MSA"] == ["MSA", "AA", "C1"]
    assert told["MSH"] == [
        "MSH", "^~\\&", "CW", "SITE", "RIS", "HOSP", "20260102030405+0000", "", "ACK^A08^ACK", "X1", "T", "2.5",
    ]  # fmt: skip


def test_the_control_id_is_echoed_byte_for_byte_in_any_character_set() -> None:
    sent = header(control_id="@").replace(b"@", "ü山\\T\\".encode())
    assert b"\rMSA|AA|" + "ü山\\T\\".encode() + b"\r" in acknowledge(sent, "AA", NOW, "X1")


def test_the_answer_is_itself_a_message() -> None:
    answer = acknowledge(header(charset="8859/1"), "AE", NOW, "X1", Trouble("101", "r", Place("PID", 1, 3)))
    read_ = read(answer, "utf-8")
    assert [segment.name for segment in read_.segments] == ["MSH", "MSA", "ERR"]
    assert read_.header.text(18) == "8859/1"


@pytest.mark.parametrize(
    ("version", "kind"),
    [("2.2", "ACK"), ("2.3", "ACK^A08"), ("2.5.1", "ACK^A08^ACK"), ("x", "ACK^A08^ACK")],
)
def test_the_answer_has_the_message_type_of_its_version(version: str, kind: str) -> None:
    assert segments(acknowledge(header(version), "AA", NOW, "X1"))["MSH"][8] == kind


def test_err_names_segment_occurrence_field_and_condition_from_version_2_5_on() -> None:
    answer = acknowledge(header(), "AE", NOW, "X1", Trouble("101", "order-control-missing", Place("ORC", 2, 1)))
    assert segments(answer)["ERR"] == [
        "ERR", "", "ORC^2^1", "101^Required field missing^HL70357", "E", "", "", "", "order-control-missing",
    ]  # fmt: skip


def test_err_has_its_one_field_of_old_before_version_2_5() -> None:
    answer = acknowledge(header("2.3"), "AE", NOW, "X1", Trouble("100", "segment-missing", Place("PID")))
    assert segments(answer)["ERR"] == ["ERR", "PID^1^^100&Segment sequence error&HL70357"]


def test_what_is_no_message_is_answered_in_the_standard_form_with_an_empty_msa_2() -> None:
    told = segments(acknowledge(b"GET / HTTP/1.1", "AE", NOW, "X1", Trouble("100", "no-header")))
    assert told["MSA"] == ["MSA", "AE", ""]
    assert told["MSH"][1] == "^~\\&"


@pytest.mark.parametrize("field", [3, 9, 10, 12, 18])
@pytest.mark.parametrize("mark", ["^", "&", "~", "|", "\\"])
def test_a_hostile_header_is_answered(field: int, mark: str) -> None:
    fields = header().decode().split("|")
    fields[field - 1] = mark * 5000
    assert b"\rMSA|AE|" in acknowledge("|".join(fields).encode(), "AE", NOW, "X1")


@given(st.binary(max_size=200).map(lambda tail: b"MSH" + tail))
def test_whatever_begins_like_a_message_is_answered(content: bytes) -> None:
    answer = acknowledge(content, "AE", NOW, "X1", Trouble("100", "no-header"))
    assert answer.startswith(b"MSH")
    assert answer.count(b"\r") == 3


@pytest.mark.parametrize(
    ("accept", "application", "outcome", "told"),
    [
        ("", "", "AA", ("AA",)),
        ("", "", "AR", ("AR",)),
        ("AL", "NE", "AA", ("CA",)),
        ("AL", "NE", "AE", ("CE",)),
        ("AL", "", "AR", ("CR",)),
        ("ER", "NE", "AA", ()),
        ("ER", "NE", "AE", ("CE",)),
        ("SU", "NE", "AA", ("CA",)),
        ("SU", "NE", "AR", ()),
        ("NE", "AL", "AA", ("AA",)),
        ("AL", "AL", "AA", ("CA", "AA")),
        ("AL", "ER", "AE", ("CE", "AE")),
        ("AL", "AL", "AR", ("CR",)),
        ("NE", "NE", "AE", ()),
    ],
)
def test_enhanced_mode_answers_what_msh_15_and_16_ask_for(
    accept: str, application: str, outcome: str, told: tuple[str, ...]
) -> None:
    sent = rf"MSH|^~\&|RIS|HOSP|CW|SITE|20260101||ADT^A08|C1|T|2.5|||{accept}|{application}".encode()
    assert codes(Envelope.of(sent), outcome) == told
