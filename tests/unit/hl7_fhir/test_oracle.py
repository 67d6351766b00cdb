"""Our own reader against hl7apy, field by field, and every answer on the corpora of real messages."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hl7apy.core import Message
from hl7apy.parser import parse_message

from cli.hl7 import messages as in_file
from services.hl7_fhir.domain.clinical.decision import TRIGGERS
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.acknowledgement import codes
from services.hl7_fhir.domain.messages.envelope import Envelope
from services.hl7_fhir.domain.messages.message import Segment, header_of, read
from shared.identity import SiteKey
from tests.support.corpus import data_dir
from tests.support.hl7 import adt, code_of, omi, orm
from tests.unit.hl7_fhir.test_messages import Kept, desk

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")

Parts = list[tuple[str, dict[int, Any]]]

#: Versions in which hl7apy's tables have other components than messages do.
_OTHER_COMPONENTS = ("2.3", "2.5.1", "2.6")


def corpus() -> list[tuple[str, bytes]]:
    """Every message of the corpora, by file and number."""
    folder = data_dir() / "hl7"
    files = [*sorted((folder / "fhir_converter" / "messages").iterdir()), *sorted((folder / "imaging").iterdir())]
    files.append(folder / "simhospital" / "messages.out")
    return [(f"{path.name}:{number}", content) for path in files for number, content in _numbered(path)]


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(in_file(path.read_bytes()))


SHIPPED = [
    ("adt", adt()),
    ("orm", orm(orc7="^^^20260102083000^^S", orc12="77^House^Greg&x~78^Wilson", obr31=r"R51^A\T\B^I10")),
    ("omi", omi()),
]


@pytest.mark.parametrize(("name", "content"), SHIPPED)
def test_shipped_messages_are_read_as_hl7apy_reads_them(name: str, content: bytes) -> None:
    expected = theirs(content)
    assert expected is not None
    _assert_agree(name, ours(content), expected, "2.5")


def test_the_corpora_are_read_as_hl7apy_reads_them() -> None:
    compared = 0
    for name, content in _sample():
        expected = theirs(content)
        if expected is not None:
            compared += 1
            _assert_agree(name, ours(content), expected, header_of(content).text(12))
    assert compared > 60


#: What hl7apy itself cannot read: the last is broken (see below), of the others its tables know less than is sent.
_UNREAD = {"MDHHS-OML-O21-1.hl7:0", "MDHHS-OML-O21-2.hl7:0", "ORU-R01-01.hl7:0", "ORU^R01-PDF.hl7:0"}
#: Fields that hl7apy drops: its tables of 2.5.1 end with MSH-21, where this message goes on to MSH-23.
_DROPPED = {"VXU.hl7:0": {22, 23}}


@pytest.mark.slow
@pytest.mark.timeout(900)  # hl7apy reads 22 to 97 of them a second on a quiet machine, a few on a busy one
def test_every_message_of_the_corpora_is_read_as_hl7apy_reads_it() -> None:
    unread, compared = set(), 0
    for name, content in corpus():
        expected = theirs(content)
        if expected is None:
            unread.add(name)
        elif not _has_hexadecimals(content):
            compared += 1
            mine = ours(content)
            assert _DROPPED.get(name, set()) <= mine[0][1].keys(), name
            header = {number: parts for number, parts in mine[0][1].items() if number not in _DROPPED.get(name, ())}
            _assert_agree(name, [("MSH", header), *mine[1:]], expected, header_of(content).text(12))
    assert unread == _UNREAD
    assert compared == len(corpus()) - len(_UNREAD) - 1


def _has_hexadecimals(content: bytes) -> bool:
    """hl7apy writes hexadecimal escapes otherwise than it read them."""
    return b"\\X" in content


def _sample() -> Iterator[tuple[str, bytes]]:
    """Every mapped message, and the first of every other trigger; of the simulated days, where all are alike, a few."""
    seen: set[tuple[str, str]] = set()
    for number, (name, content) in enumerate(corpus()):
        header = header_of(content)
        trigger = (header.text(9), header.text(9, 2))
        if _has_hexadecimals(content):
            continue
        if trigger not in seen or (trigger in TRIGGERS and ("messages.out" not in name or number % 100 == 0)):
            seen.add(trigger)
            yield name, content


def _assert_agree(name: str, ours_: Parts, theirs_: Parts, version: str) -> None:
    """The same segments with the same fields; those that hl7apy keeps without a number are our others, in order.

    Its tables of 2.6 have no XTN.1, which it moves behind the others, and those of 2.3 and 2.5.1 know fewer components
    of XCN and CE than are sent and close the gaps between the others: there only the values are compared.
    """
    assert [segment for segment, _ in ours_] == [segment for segment, _ in theirs_], name
    for (segment, mine), (_, expected) in zip(ours_, theirs_, strict=True):
        unnumbered = expected.pop(0, [])
        told = {number: mine.get(number) for number in expected}
        same_values = version in _OTHER_COMPONENTS and _leaves(told) == _leaves(expected)
        assert told == expected or same_values, (name, segment)
        others = [part for number in sorted(mine.keys() - expected.keys()) for part in mine[number]]
        assert others == unnumbered, (name, segment)


def _leaves(fields: dict[int, Any]) -> list[tuple[int, list[str]]]:
    return [
        (number, sorted(part for repetition in parts for component in repetition for part in component if part))
        for number, parts in sorted(fields.items())
    ]


def ours(content: bytes) -> Parts:
    """Each segment's name and valued fields, as repetitions, components and subcomponents, escapes as sent."""
    return [(segment.name, _fields(segment)) for segment in read(content, "utf-8").segments]


def _fields(segment: Segment) -> dict[int, Any]:
    start = 3 if segment.name == "MSH" else 1
    fields = {number: _valued(segment.raw(number).split("~")) for number in segment.numbers() if number >= start}
    return {number: parts for number, parts in fields.items() if parts}


def theirs(content: bytes) -> Parts | None:
    """The same as hl7apy reads it; None for what hl7apy itself cannot read."""
    lines = [segment for segment in re.split(r"[\r\n]+", read(content, "utf-8").content) if segment.strip()]
    try:
        parsed: Message = parse_message("\r".join(lines), find_groups=False)
    except Exception:
        return None
    return [(segment.name, _their_fields(segment)) for segment in parsed.children]


def _their_fields(segment: Any) -> dict[int, Any]:
    """By number; what hl7apy's version of the segment does not know by number stands under 0, in order."""
    texts: dict[int, list[str]] = {}
    for field in segment.children:
        number = int(field.name.split("_")[1]) if field.name else 0
        texts.setdefault(number, []).append(field.to_er7())
    start = 3 if segment.name == "MSH" else 0
    fields = {number: _valued(repetitions) for number, repetitions in texts.items() if number >= start}
    return {number: parts for number, parts in fields.items() if parts}


def _valued(repetitions: list[str]) -> list[Any]:
    """Components and subcomponents without empty ones at the end, which say nothing."""
    return _trimmed(
        [
            _trimmed([_trimmed([_value(part) for part in component.split("&")]) for component in repetition.split("^")])
            for repetition in repetitions
        ]
    )


def _value(text: str) -> str:
    """hl7apy writes numbers without leading zeros."""
    text = text.strip()
    return str(int(text)) if text.isdecimal() and len(text) < 5 else text


def _trimmed(parts: list[Any]) -> list[Any]:
    while parts and not parts[-1]:
        parts = parts[:-1]
    return parts


#: The first has a carriage return after 4,096 characters, in the middle of a PDF: what follows is no segment. The
#: second has no SCH (chapter 10, section 10.4).
BROKEN = {"ORU^R01-PDF.hl7:0", "SIU^S12-NewAppointmentBooking.hl7:0"}


async def test_every_message_of_the_corpora_is_accepted_except_what_is_broken() -> None:
    journal = Kept()
    taking = desk(journal).messages
    for name, content in corpus():
        told = [code_of(answer) for answer in await taking.arrived(content)]
        assert told == list(codes(Envelope.of(content), "AE" if name in BROKEN else "AA")), name
    assert len(journal.entries) > 1_100
