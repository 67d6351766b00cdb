"""What a sender hears: AA only for what is kept, AE for what is wrong in the message, AR for what is wrong with us."""

from datetime import UTC, datetime

import pytest

from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.decision import Decision, Occasion, Reader
from services.hl7_fhir.domain.record import Site
from services.hl7_fhir.domain.refusal import Refused
from services.hl7_fhir.handlers import Messages
from shared.errors import AlreadyDone, RetryLater
from shared.identity import SiteKey
from tests.support.hl7 import adt, code_of, orm

KEY = SiteKey(b"k" * 32)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Kept:
    """A journal in memory; ``trouble`` is raised instead of keeping."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.taken: list[tuple[Arrival, Decision]] = []
        self.refused: list[tuple[Arrival, Refused]] = []
        self._trouble = trouble

    async def take(self, arrival: Arrival, decision: Decision) -> None:
        if self._trouble:
            raise self._trouble
        if any(arrival.ref == known.ref for known, _ in self.taken):
            raise AlreadyDone("message-known")
        self.taken.append((arrival, decision))

    async def refuse(self, arrival: Arrival, refusal: Refused) -> None:
        if self._trouble:
            raise self._trouble
        self.refused.append((arrival, refusal))


def desk(journal: Kept) -> Messages:
    return Messages(Reader(Site(patient_issuer="SITE", order_issuer="SITE"), KEY), journal, KEY, clock=lambda: NOW)


async def test_a_message_that_is_kept_is_accepted() -> None:
    journal = Kept()
    assert code_of(await desk(journal).arrived(adt("A01"))) == "AA"
    arrival, decision = journal.taken[0]
    assert arrival.content == adt("A01")
    assert decision.occasion is Occasion.REGISTRATION


async def test_a_repeat_is_accepted_again() -> None:
    journal = Kept()
    answers = [await desk(journal).arrived(adt()) for _ in range(2)]
    assert [code_of(answer) for answer in answers] == ["AA", "AA"]
    assert b"ERR" not in answers[1]
    assert len(journal.taken) == 1


@pytest.mark.parametrize("trigger", ["A09", "A29", "A60", "Z99"])
async def test_a_trigger_that_is_not_mapped_is_kept_and_accepted(trigger: str) -> None:
    journal = Kept()
    assert code_of(await desk(journal).arrived(adt(trigger))) == "AA"
    assert journal.taken[0][1] == Decision(None, NOW)


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
    assert journal.refused[0][0].content == content
    assert journal.taken == []


@pytest.mark.parametrize("trouble", [RetryLater("database-unavailable"), ValueError("Doe"), OSError("Doe")])
@pytest.mark.parametrize("content", [adt(), b"GARBAGE"])
async def test_trouble_of_ours_asks_the_sender_to_come_again(trouble: Exception, content: bytes) -> None:
    answer = await desk(Kept(trouble)).arrived(content)
    assert code_of(answer) == "AR"
    assert b"Doe" not in answer


async def test_a_frame_above_the_limit_is_refused_with_its_control_id() -> None:
    answer = await desk(Kept()).oversize(adt())
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
    decision = journal.taken[0][1]
    assert (decision.said, decision.flags) == (said, flags)


async def test_patients_who_are_not_known_are_each_somebody_else() -> None:
    journal = Kept()
    for number in range(2):
        await desk(journal).arrived(adt(control_id=f"C{number}", pid="PID|1||UNKNOWN^^^HOSP^MR||Doe^John"))
    patients = [decision.patient for _, decision in journal.taken]
    assert all(patient and patient.identity is None for patient in patients)
    assert len({patient.resource_id for patient in patients if patient}) == 2


async def test_the_same_id_of_two_issuers_is_two_patients() -> None:
    journal = Kept()
    for issuer in ("HOSP", "CLINIC"):
        await desk(journal).arrived(adt(pid=f"PID|1||P1^^^{issuer}^MR||Doe^Jane"))
    assert len({decision.patient.resource_id for _, decision in journal.taken if decision.patient}) == 2
