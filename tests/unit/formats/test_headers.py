"""headers.jsonl: a line per instance, whatever the header looks like."""

import json
from typing import Any

import pytest

from contracts.formats.errors import ManifestBroken
from contracts.formats.headers import Header, header_line, opaque_line, read_headers, renumber

PATIENT = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "山田^太郎\n"}]}}


def test_headers_read_back_in_order() -> None:
    """A rendered header and an opaque one, with letters of any script and a line feed inside a value."""
    data = header_line("000001.dcm", PATIENT) + opaque_line("000002.dcm", "header-unreadable")
    assert list(read_headers([data])) == [
        Header("000001.dcm", PATIENT),
        Header("000002.dcm", None, "header-unreadable"),
    ]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"00100010": {"vr": "LT", "Value": ["x" * 300_000]}}, "header-too-large"),
        ({"00180050": {"vr": "DS", "Value": [object()]}}, "header-unreadable"),
    ],
)
def test_a_header_that_makes_no_line_is_null_with_the_reason(header: dict[str, Any], reason: str) -> None:
    """Too long, or not expressible in JSON: the instance is stored all the same."""
    assert list(read_headers([header_line("000001.dcm", header)])) == [Header("000001.dcm", None, reason)]


def test_a_number_that_json_does_not_know_is_told_as_text() -> None:
    """PS3.18 section F.2.3."""
    line = header_line("000001.dcm", {"00189309": {"vr": "FD", "Value": [float("nan")]}})
    assert json.loads(line)["header"]["00189309"]["Value"] == ["NaN"]


def test_a_header_with_broken_text_is_still_a_line() -> None:
    """A lone surrogate, which UTF-8 cannot hold, is replaced."""
    line = header_line("000001.dcm", {"00100010": {"vr": "LO", "Value": ["\ud800"]}})
    assert json.loads(line)["header"]["00100010"]["Value"] == ["?"]


def test_the_greatest_line_that_is_written_can_be_read() -> None:
    """Writer and reader agree on the limit to the byte."""
    spare = 256 * 1024 - len(header_line("000001.dcm", {"a": ""}))
    assert next(read_headers([header_line("000001.dcm", {"a": "x" * spare})])).header is not None
    assert next(read_headers([header_line("000001.dcm", {"a": "x" * (spare + 1)})])).reason == "header-too-large"


def test_a_reason_is_a_code_never_text() -> None:
    """An exception's text could carry a value from the input."""
    with pytest.raises(ValueError, match="code"):
        opaque_line("000001.dcm", "Invalid value 'Doe^Jane'")


def test_renumbered_headers_are_those_of_the_batches_and_as_long() -> None:
    """A pack's section is known in length before it is written."""
    one = header_line("000001.dcm", PATIENT)
    two = opaque_line("000001.dcm", "header-unreadable") + header_line("000002.dcm", PATIENT)
    merged = b"".join(renumber([[one], [two[:20], two[20:]]]))
    assert len(merged) == len(one + two)
    assert [each.entry for each in read_headers([merged])] == ["000001.dcm", "000002.dcm", "000003.dcm"]
    assert [each.header for each in read_headers([merged])] == [PATIENT, None, PATIENT]


@pytest.mark.parametrize("line", [b"null\n", b"[]\n", b"{}\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_headers_line_is_refused(line: bytes) -> None:
    """A hostile line ends in the one error, not in whatever the parser raises."""
    with pytest.raises(ManifestBroken):
        list(read_headers([line]))
