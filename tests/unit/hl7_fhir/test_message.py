"""Reading HL7 v2: delimiters, segments, fields, escapes, and bounds that hostile messages cannot pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.messages import message as hl7
from services.hl7_fhir.domain.messages.message import Delimiters, first, header_of, read
from services.hl7_fhir.domain.messages.refusal import (
    FieldInvalid,
    FieldMissing,
    NotHl7,
    Place,
    Refused,
    SegmentError,
    TooMuch,
)

MSH = r"MSH|^~\&|RIS|HOSP|||20260101||ADT^A01|C1|P|2.5"


def message(*lines: str, end: str = "\r") -> hl7.Message:
    return read(end.join([MSH, *lines]).encode() + end.encode(), "utf-8")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_segments_may_end_with_cr_lf_or_both(end: str) -> None:
    pid = message("PID|1||P1", "PV1|1", end=end).required("PID")
    assert pid.text(3) == "P1"


def test_a_line_feed_inside_a_field_is_text_when_segments_end_with_cr() -> None:
    assert message("PID|1||P1", "NTE|1||two\nlines").required("NTE").text(3) == "two\nlines"


def test_a_byte_order_mark_and_blank_lines_are_no_part_of_the_message() -> None:
    content = b"\xef\xbb\xbf\r\n" + MSH.encode() + b"\r\rPID|1||P1\r\r"
    assert [segment.name for segment in read(content, "utf-8").segments] == ["MSH", "PID"]


def test_values_are_addressed_by_field_repetition_component_and_subcomponent() -> None:
    pid = message("PID|1||A^^^HOSP&1.2&ISO~B||Doe&van^Jane").required("PID")
    assert pid.field(3) == ((("A",), ("",), ("",), ("HOSP", "1.2", "ISO")), (("B",),))
    assert pid.text(5, 1, 2) == "van"
    assert pid.text(5, 2) == "Jane"
    assert pid.field(40) == ()


def test_msh_counts_its_separator_as_the_first_field() -> None:
    header = message().header
    assert (header.raw(1), header.raw(2), header.text(3), header.text(9, 2)) == ("|", "^~\\&", "RIS", "A01")


def test_other_delimiters_are_taken_from_the_header() -> None:
    read_ = read(rb"MSH$%*!+$RIS$HOSP$$$20260101$$ADT%A01$C1$P$2.5" + b"\rPID$1$$A%%%X+Y*B\r", "utf-8")
    assert read_.required("PID").field(3) == ((("A",), ("",), ("",), ("X", "Y")), (("B",),))


@pytest.mark.parametrize("header", ["MSH", "MSH|", "MSHa^~\\&", "MSH|^^\\&|", "MSH |||", "PID|1", "", "\x00"])
def test_what_has_no_usable_header_is_no_message(header: str) -> None:
    with pytest.raises(Refused):
        read(header.encode(), "utf-8")


def test_short_encoding_characters_are_completed_by_the_usual_ones() -> None:
    assert Delimiters.of("MSH|^~|RIS") == Delimiters("|", "^", "~", "\\", "&")


@pytest.mark.parametrize(
    ("sent", "plain"),
    [
        (r"A\T\B", "A&B"),
        (r"\F\\S\\R\\E\ ", "|^~\\"),
        (r"a\.br\b", "a\nb"),
        (r"\H\bold\N\ ", "bold"),
        (r"\XC3A4\ ", "ä"),
        (r"\Zlocal\x", r"\Zlocal\x"),
        (r"C:\path", r"C:\path"),
        (r"\XZZ\ ", r"\XZZ\ ".strip()),
    ],
)
def test_escape_sequences_become_what_they_stand_for_and_unknown_ones_stay(sent: str, plain: str) -> None:
    assert message(f"NTE|1||{sent}").required("NTE").text(3) == plain


def test_an_escaped_delimiter_does_not_split() -> None:
    assert message(r"PID|1||P1||D\S\oe^Jane").required("PID").field(5) == ((("D^oe",), ("Jane",)),)


@pytest.mark.parametrize(("number", "place"), [(9, Place("MSH", 1, 9)), (10, Place("MSH", 1, 10))])
def test_a_header_without_type_or_control_id_is_refused_with_its_place(number: int, place: Place) -> None:
    fields = MSH.split("|")
    fields[number - 1] = ""
    with pytest.raises(FieldMissing) as refusal:
        read("|".join(fields).encode(), "utf-8")
    assert refusal.value.place == place


@pytest.mark.parametrize("line", ["pid|1", "PIDX|1", "P|1", "free text", "PID^1"])
def test_a_line_that_is_no_segment_is_refused_after_the_one_before_it(line: str) -> None:
    with pytest.raises(SegmentError) as refusal:
        _ = message("PV1|1", line).segments
    assert refusal.value.place == Place("PV1", 1)


def test_two_messages_in_one_frame_are_refused() -> None:
    with pytest.raises(SegmentError):
        _ = message("PID|1||P1", MSH).segments


@pytest.mark.parametrize("mark", [b"\x0b", b"\x00"])
def test_a_frame_inside_a_message_is_refused(mark: bytes) -> None:
    with pytest.raises(FieldInvalid):
        read(MSH.encode() + b"\rNTE|1||" + mark + b"x\r", "utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "PID|1||" + "A~" * 40_000,
        "PID|1||" + "A^" * 40_000,
        "PID|1||" + "&" * 80_000,
        "PID|1||" + "\\" * 80_000,
        "PID" + "|" * 80_000,
    ],
)
def test_a_hostile_pid_of_80_kb_is_refused_without_being_split(line: str) -> None:
    with pytest.raises(TooMuch):
        message(line).required("PID").field(3)


def test_more_segments_than_the_bound_are_refused() -> None:
    with pytest.raises(TooMuch):
        _ = message(*["NTE|1"] * hl7.MAX_SEGMENTS).segments


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    _read_all(content)


@given(st.text(alphabet="PIDMSH|^~\\&\r\n1A\x1c\xe9", max_size=300))
def test_any_delimiters_anywhere_are_read_or_refused(tail: str) -> None:
    _read_all((MSH + "\r" + tail).encode("latin-1"))


def _read_all(content: bytes) -> None:
    try:
        for segment in read(content, "utf-8").segments:
            for number in segment.numbers():
                first(segment.field(number))
    except Refused:
        pass


def test_a_header_can_be_read_before_its_character_set_is_known() -> None:
    assert header_of(MSH.replace("C1", "ü1").encode("latin-1")).raw(10) == "ü1"
    with pytest.raises(NotHl7):
        header_of(b"EVN|A01")
