"""Whatever comes over MLLP: each message is answered once or its sender dropped, and AA is never false."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.hl7_fhir.adapters.conversation import END, START, Conversation
from services.hl7_fhir.adapters.hall import Hall, Limits
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.acknowledgement import codes
from services.hl7_fhir.domain.intake.arrival import Name
from services.hl7_fhir.domain.intake.keeping import Entry
from services.hl7_fhir.domain.intake.senders import Origin, Sender, Senders
from services.hl7_fhir.domain.messages.envelope import Envelope
from services.hl7_fhir.handlers import Messages
from shared.identity import SiteKey
from tests.fuzz.budget import examples
from tests.support.hl7 import adt, code_of, omi, orm

pytestmark = pytest.mark.timeout(3600)

KEY = SiteKey(b"k" * 32)
OTHERS = Sender("", Site(patient_issuer="SITE", order_issuer="SITE"))
#: Seconds after which a message hangs that is to cost milliseconds: the machine may be busy.
HANG = 20.0

SEEDS = [
    *(adt(trigger) for trigger in ("A01", "A04", "A08", "A60")),
    adt("A40") + b"MRG|P9^^^HOSP^MR\r",
    adt("A24") + b"PID|2||P8^^^HOSP^MR\r",
    orm(),
    orm("CA"),
    omi(),
    omi() + omi().split(b"\r", 2)[2],
    (
        b"MSH|^~\\&|LAB|HOSP|CW|HOSP|20260101||ORU^R01|R1|P|2.5|||AL|AL\rPID|1||P1^^^HOSP^MR\r"
        b"OBR|1|PL1|FI1|24725-4^CT^LN\rOBX|1|TX|A^B^L||ok||||||F\r"
    ),
]
_MARKS = b'|^~\\&\r\n\x0b\x1c\x00" '
_PIECES = st.sampled_from(
    [bytes([mark]) for mark in _MARKS] + [b'""', b"\\X", b"\\F\\", b"\xff", b"MSH|", b"PID|", b"ORC||"]
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A message with bytes replaced, left out, put in, or repeated far too often."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        end = draw(st.integers(at, min(len(content), at + 20)))
        piece = draw(_PIECES | st.binary(max_size=6))
        content[at:end] = piece * draw(st.sampled_from([1, 1, 1, 2, 1_200, 6_000]))
    return bytes(content)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def keep(self, entry: Entry, *, hold: bool = False) -> None:
        self.entries.append(entry)


class Everybody:
    """Everybody may send."""

    def who(self, name: Name, origin: Origin) -> Sender | None:
        return Senders(OTHERS).who(name.application, name.institution, origin)

    def named(self, name: str) -> Sender:
        return OTHERS


class Anything:
    """No profile."""

    async def validate(self, content: bytes, charset: str) -> None:
        return


def taking(journal: Kept) -> Messages:
    return Messages(Everybody(), journal, Anything(), KEY, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))


@examples(400)
@given(changed() | st.binary(max_size=200))
@example(b"")
@example(b"MSH")
@example(adt(pid="PID|" + "^" * 80_000))
@example(adt(pid="PID|1||" + "A&" * 40_000))
@example(adt(pid="PID|" + "\\" * 80_000))
def test_a_message_is_answered_as_it_asks_and_what_is_accepted_can_be_mapped(content: bytes) -> None:
    journal = Kept()
    answers = asyncio.run(asyncio.wait_for(taking(journal).arrived(content), HANG))
    envelope = Envelope.of(content)
    outcome = journal.entries[0].code if journal.entries else None
    if envelope.is_acknowledgement:
        assert (answers, journal.entries) == ((), [])
        return
    assert outcome is not None, "nothing is answered that is not kept"
    assert tuple(code_of(answer) for answer in answers) == codes(envelope, outcome)
    for answer in answers:
        echoed = envelope.delimiters.field + envelope.control_id
        assert re.search(rb"\rMSA.[AC][AE]" + re.escape(echoed.encode("latin-1")) + rb"\r", answer)
    if outcome == "AA":
        (entry,) = journal.entries
        Reader(OTHERS.site, KEY).decide(entry.arrival.content, entry.arrival.ref, entry.arrival.received)


class Wire(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


SMALL = Limits(frame=2_000, between=40, large=600, large_at_once=1)
FRAMES = st.lists(
    st.binary(max_size=60).map(lambda content: START + content.replace(END, b"") + END)
    | st.binary(max_size=50)
    | st.just(START + b"x" * 3_000)
    | st.just(START + b"y" * 700 + END)
    | st.just(b"\r\n"),
    max_size=8,
)


async def heard(stream: bytes, sizes: list[int]) -> tuple[list[bytes], bytes, bool]:
    """The messages that were heard, what was written and whether the connection was ended."""
    taken: list[bytes] = []

    async def answer(content: bytes, _: Origin) -> tuple[bytes, ...]:
        taken.append(content)
        return (b"A",)

    async def refuse(_: bytes, __: Origin) -> tuple[bytes, ...]:
        return (b"R",)

    wire, hall = Wire(), Hall(answer, refuse, SMALL)
    conversation = Conversation(hall)
    conversation.connection_made(wire)
    at = 0
    while at < len(stream) and not wire.is_closed:
        size = sizes[at % len(sizes)]
        conversation.data_received(stream[at : at + size])
        at += size
        for _ in range(3):
            await asyncio.sleep(0)
    for _ in range(3 * len(stream) + 20):
        await asyncio.sleep(0)
    conversation.connection_lost(None)
    assert hall.present == set()
    assert hall._large == 0
    return taken, bytes(wire.written), wire.is_closed


@examples(200)
@given(FRAMES.map(b"".join), st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_frames_are_the_same_in_pieces_of_any_size(stream: bytes, sizes: list[int]) -> None:
    whole = asyncio.run(asyncio.wait_for(heard(stream, [10_000]), HANG))
    pieces = asyncio.run(asyncio.wait_for(heard(stream, sizes), HANG))
    assert len(whole[1]) in {4 * len(whole[0]), 4 * len(whole[0]) + 4}
    # A peer that is dropped may have been heard further in pieces: it is dropped when too much has come at once.
    shorter, longer = sorted((whole[0], pieces[0]), key=len)
    assert longer[: len(shorter)] == shorter
    if not whole[2] and not pieces[2]:
        assert whole == pieces


def test_the_corpora_of_seeds_are_accepted() -> None:
    for content in SEEDS:
        journal = Kept()
        asyncio.run(taking(journal).arrived(content))
        assert [entry.code for entry in journal.entries] == ["AA"]
