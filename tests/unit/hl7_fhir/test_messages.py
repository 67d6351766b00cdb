"""What a sender hears: AA only for what is kept, AE for what is wrong in the message, AR for what is wrong with us."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.hl7_fhir.domain.clinical.decision import Decision, Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.arrival import Name
from services.hl7_fhir.domain.intake.keeping import Entry
from services.hl7_fhir.domain.intake.senders import Origin, Sender, Senders
from services.hl7_fhir.domain.messages.refusal import Place, ProfileViolated
from services.hl7_fhir.handlers import Messages
from shared.errors import RetryLater
from shared.identity import SiteKey
from tests.support.hl7 import adt, code_of, orm

KEY = SiteKey(b"k" * 32)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Kept:
    """A journal in memory; ``trouble`` is raised instead of keeping."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.entries: list[Entry] = []
        self.held: list[bool] = []
        self._trouble = trouble

    async def keep(self, entry: Entry, *, hold: bool = False) -> None:
        self.held.append(hold)
        if self._trouble:
            raise self._trouble
        self.entries.append(entry)


class Profile:
    """Finds fault with what it is told to."""

    async def validate(self, content: bytes, charset: str) -> None:
        if b"ODD" in content:
            raise ProfileViolated("profile-violated", Place("PID", 1, 3))


class Registered:
    """Senders by MSH-3."""

    def __init__(self, *senders: Sender, others: Sender | None) -> None:
        self._senders = Senders(others, senders)

    def who(self, name: Name, origin: Origin) -> Sender | None:
        return self._senders.who(name.application, name.institution, origin)


OTHERS = Sender("", Site(patient_issuer="SITE", order_issuer="SITE"))


class Desk:
    """Gives messages in, and the one answer out."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages

    async def arrived(self, content: bytes) -> bytes:
        (answer,) = await self.messages.arrived(content)
        return answer


def desk(journal: Kept, *senders: Sender, others: Sender | None = OTHERS) -> Desk:
    registry = Registered(*senders, others=others)
    return Desk(Messages(registry, journal, Profile(), KEY, clock=lambda: NOW))


def decided(entry: Entry) -> Decision:
    """What the message does."""
    arrival = entry.arrival
    return Reader(OTHERS.site, KEY).decide(arrival.content, arrival.ref, arrival.received)


async def test_a_message_that_is_kept_is_accepted() -> None:
    journal = Kept()
    assert code_of(await desk(journal).arrived(adt("A01"))) == "AA"
    assert journal.entries[0].arrival.content == adt("A01")
    assert journal.entries[0].state == "waiting"


async def test_a_repeat_is_accepted_again() -> None:
    journal = Kept()
    answers = [await desk(journal).arrived(adt()) for _ in range(2)]
    assert [code_of(answer) for answer in answers] == ["AA", "AA"]
    assert b"ERR" not in answers[1]
    assert len({entry.arrival.ref for entry in journal.entries}) == 1


@pytest.mark.parametrize("trigger", ["A09", "A29", "A60", "Z99"])
async def test_a_trigger_that_is_not_mapped_is_kept_and_accepted(trigger: str) -> None:
    journal = Kept()
    assert code_of(await desk(journal).arrived(adt(trigger))) == "AA"
    assert decided(journal.entries[0]) == Decision(None, NOW)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"GARBAGE", b""),
        (b"", b""),
        (adt().replace(b"|C1|", b"||"), b"MSH^1^10"),
        (adt().replace(b"\rPID|", b"\rZPD|"), b"PID^1"),
        (adt().replace(b"Jane", b"Jan\xe9"), b"MSH^1^18"),
        (orm().replace(b"ORC|NW", b"ORC|"), b"ORC^1^1"),
        (orm() + b"\rnot a segment\r", b"ZDS^1"),
        (adt(pid="PID|1||" + "A~" * 5000), b"PID^1^3"),
    ],
)
async def test_bad_content_is_kept_refused_and_pointed_at(content: bytes, place: bytes) -> None:
    journal = Kept()
    answer = await desk(journal).arrived(content)
    assert code_of(answer) == "AE"
    assert b"\rERR||" + place + b"|" in answer
    assert [(entry.arrival.content, entry.code, entry.state) for entry in journal.entries] == [
        (content, "AE", "refused")
    ]


@pytest.mark.parametrize("trouble", [RetryLater("database-unavailable"), ValueError("Doe"), OSError("Doe")])
@pytest.mark.parametrize("content", [adt(), b"GARBAGE"])
async def test_trouble_of_ours_asks_the_sender_to_come_again(trouble: Exception, content: bytes) -> None:
    answer = await desk(Kept(trouble)).arrived(content)
    assert code_of(answer) == "AR"
    assert b"Doe" not in answer


async def test_a_frame_above_the_limit_is_refused_with_its_control_id() -> None:
    (answer,) = await desk(Kept()).messages.oversize(adt())
    assert b"\rMSA|AE|C1\r" in answer
    assert b"message-too-large" in answer


@pytest.mark.parametrize(
    ("content", "said", "flags"),
    [
        (adt(time="20260101120000"), datetime(2026, 1, 1, 12, tzinfo=UTC), ()),
        (adt(time="20990101"), NOW, ("time-in-the-future",)),
        (adt(time="soon"), NOW, ("time-missing",)),
        (adt().replace(b"EVN|A04|20260101120000", b"EVN|A04|2025"), datetime(2025, 1, 1, tzinfo=UTC), ()),
    ],
)
async def test_a_message_speaks_of_the_time_of_its_event(content: bytes, said: datetime, flags: tuple) -> None:
    journal = Kept()
    await desk(journal).arrived(content)
    decision = decided(journal.entries[0])
    assert (decision.said, decision.flags) == (said, flags)


async def test_patients_who_are_not_known_are_each_somebody_else() -> None:
    journal = Kept()
    for number in range(2):
        await desk(journal).arrived(adt(control_id=f"C{number}", pid="PID|1||UNKNOWN^^^HOSP^MR||Doe^John"))
    patients = [decided(entry).patient for entry in journal.entries]
    assert all(patient and patient.identity is None for patient in patients)
    assert len({patient.resource_id for patient in patients if patient}) == 2


async def test_the_same_id_of_two_issuers_is_two_patients() -> None:
    journal = Kept()
    for issuer in ("HOSP", "CLINIC"):
        await desk(journal).arrived(adt(pid=f"PID|1||P1^^^{issuer}^MR||Doe^Jane"))
    patients = [decided(entry).patient for entry in journal.entries]
    assert len({patient.resource_id for patient in patients if patient}) == 2


RIS = Sender("ris", OTHERS.site, applications=frozenset({"RIS"}))


async def test_a_sender_is_known_by_its_entry_and_kept_with_the_message() -> None:
    journal = Kept()
    await desk(journal, RIS).arrived(adt())
    await desk(journal, replace(RIS, facilities=frozenset({"ELSEWHERE"}))).arrived(adt())
    assert [entry.origin for entry in journal.entries] == ["ris", ""]


async def test_strangers_are_rejected_where_the_registry_says_so() -> None:
    journal = Kept()
    told = desk(journal, RIS, others=None)
    assert code_of(await told.arrived(adt())) == "AA"
    answer = await told.arrived(adt().replace(b"|RIS|", b"|OTHER|"))
    assert code_of(answer) == "AR"
    assert b"sender-unknown" in answer
    assert len(journal.entries) == 1


async def test_triggers_that_are_not_mapped_are_kept_or_rejected_as_the_sender_wants() -> None:
    journal = Kept()
    unmapped = adt("A60")
    assert code_of(await desk(journal, RIS).arrived(unmapped)) == "AA"
    assert code_of(await desk(journal, replace(RIS, unsupported="reject")).arrived(unmapped)) == "AR"
    assert code_of(await desk(journal, replace(RIS, unsupported="reject")).arrived(adt())) == "AA"
    assert len(journal.entries) == 2


async def test_a_strict_sender_is_held_to_the_profile() -> None:
    journal = Kept()
    odd = adt(pid="PID|1||ODD^^^HOSP^MR||Doe^Jane")
    assert code_of(await desk(journal, RIS).arrived(odd)) == "AA"
    answer = await desk(journal, replace(RIS, strict=True)).arrived(odd)
    assert code_of(answer) == "AE"
    assert b"\rERR||PID^1^3|" in answer


async def test_a_sender_may_be_held_while_there_is_trouble() -> None:
    journal = Kept()
    await desk(journal, replace(RIS, trouble="hold")).arrived(adt())
    await desk(journal, RIS).arrived(adt(control_id="2"))
    assert journal.held == [True, False]


async def test_an_acknowledgement_is_not_acknowledged() -> None:
    journal = Kept()
    ack = adt().replace(b"ADT^A04", b"ACK^A04^ACK")
    assert await desk(journal).messages.arrived(ack) == ()
    assert journal.entries == []


async def test_the_character_set_of_a_sender_counts_where_its_messages_name_none() -> None:
    journal = Kept()
    latin = adt().replace(b"Jane", b"Jan\xe9")
    assert code_of(await desk(journal, RIS).arrived(latin)) == "AE"
    assert code_of(await desk(journal, replace(RIS, charset="iso8859-1")).arrived(latin)) == "AA"
