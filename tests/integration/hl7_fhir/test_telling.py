"""What is told of orders and studies comes to those that want it, once, and never silently wrong; on both databases."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.hl7_fhir.adapters.own_messages import Telling
from services.hl7_fhir.adapters.receivers import ReceiversFile
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.adapters.tells import StudyNow
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.outgoing.receivers import Receiver
from services.hl7_fhir.domain.outgoing.telling import State
from tests.support.databases import Migrated
from tests.support.hl7 import orm
from tests.support.receivers import receivers_yaml, receiving
from tests.support.sending import KEY, Post, posting

NOW = datetime(2026, 1, 2, 8, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Fixed:
    """Receivers that no file has."""

    named: Mapping[str, Receiver]

    def get(self) -> Mapping[str, Receiver]:
        """All of them."""
        return self.named


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, migrated: Migrated) -> str:
    return migrated(request.param, "hl7_fhir")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def post(stack: AsyncExitStack, url: str, path: Path, **named: Any) -> Post:
    return await stack.enter_async_context(posting(url, receivers_yaml(path, **named), migrate=False))


async def ids(desk: Post) -> tuple[str, str]:
    """Those of the only order and its patient."""
    wanted = select(resources.c.type, resources.c.id)
    rows = await desk.database.read(lambda c: c.execute(wanted).all())
    found = {row.type: row.id for row in rows}
    return found["ServiceRequest"], found["Patient"]


async def test_each_receiver_hears_what_it_wants_in_its_form(url: str, stack: AsyncExitStack, tmp_path: Path) -> None:
    ris = await stack.enter_async_context(receiving())
    ehr = await stack.enter_async_context(receiving())
    lines = "pass_on: none\nstatus: orm\nstudy_uid: orm\nstudy_available: omi\nreceiving_application: RIS"
    named = {"ris": (ris.port, lines), "ehr": (ehr.port, "pass_on: none\nversion: 2.4\nstudy_available: oru")}
    desk = await post(stack, url, tmp_path / "r.yaml", **named)
    await desk.send(orm())
    order, patient = await ids(desk)
    study = StudyNow("1.2.3", patient, order, "cause-1", NOW, "CT")

    def tell(connection: Any) -> None:
        desk.telling.announce(connection, order=order, study_uid="1.2.3", now=NOW)
        for state in (State.IN_PROGRESS, State.COMPLETED):
            desk.telling.status_changed(connection, order=order, state=state, cause="cause-1", now=NOW)
        desk.telling.study_available(connection, study)

    for _ in range(3):
        await desk.database.run(tell)
    await desk.until("ris", waiting=0, delivered=4)
    await desk.until("ehr", waiting=0, delivered=1)
    said = [read(message, "utf-8") for message in ris.got]
    assert [(m.type, m.required("ORC").text(1), m.required("ORC").text(5)) for m in said] == [
        ("ORM", "XX", "SC"),
        ("ORM", "SC", "IP"),
        ("ORM", "SC", "CM"),
        ("OMI", "SC", "CM"),
    ]
    assert said[0].required("ZDS").text(1) == "1.2.3"
    assert len({m.header.text(10) for m in said}) == 4
    told = read(ehr.got[0], "utf-8")
    assert (told.type, told.header.text(12), told.required("OBX").text(5)) == ("ORU", "2.4", "1.2.3")
    assert told.required("PID").text(5) == "Doe"


async def test_a_later_cause_is_told_again_and_a_lost_transaction_never(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    ris = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", ris=(ris.port, "pass_on: none\nstatus: omg"))
    await desk.send(orm())
    order, _ = await ids(desk)

    def tell(connection: Any, cause: str = "one", error: Exception | None = None) -> None:
        desk.telling.status_changed(connection, order=order, state=State.IN_PROGRESS, cause=cause, now=NOW)
        if error:
            raise error

    with pytest.raises(ZeroDivisionError):
        await desk.database.run(lambda c: tell(c, error=ZeroDivisionError()))
    assert (await desk.standing("ris")).get("waiting", 0) == 0
    await desk.database.run(tell)
    await desk.database.run(lambda c: tell(c, "two"))
    await desk.until("ris", waiting=0, delivered=2)


async def test_what_a_receivers_characters_cannot_hold_waits_for_a_person_or_is_replaced(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    strict, lax = await stack.enter_async_context(receiving()), await stack.enter_async_context(receiving())
    lines = "pass_on: none\nstatus: orm\ncharset: 8859/1\nunmappable: "
    named = {"strict": (strict.port, lines + "aside"), "lax": (lax.port, lines + "replace")}
    desk = await post(stack, url, tmp_path / "r.yaml", **named)
    await desk.send(orm(pid="PID|1||P1^^^HOSP^MR||Łukasz^Zoë"))
    order, _ = await ids(desk)
    await desk.database.run(
        lambda c: desk.telling.status_changed(c, order=order, state=State.COMPLETED, cause="x", now=NOW)
    )
    await desk.until("lax", waiting=0, delivered=1)
    assert b"|?ukasz^Zo\xeb\r" in lax.got[0]
    await desk.until("strict", waiting=0, aside=1)
    assert (await desk.desk.shown("strict"))[0]["reason"] == "charset-too-small"
    assert strict.got == []
    await desk.desk.retry("strict", None)
    await desk.until("strict", delivered=1)


async def test_what_does_not_fit_the_profile_waits_for_a_person(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    ris = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", ris=(ris.port, "pass_on: none\nstatus: orm"))
    await desk.send(orm(pid="PID|1||||"))
    order, _ = await ids(desk)
    await desk.database.run(
        lambda c: desk.telling.status_changed(c, order=order, state=State.COMPLETED, cause="x", now=NOW)
    )
    await desk.until("ris", aside=1)
    assert (await desk.desk.shown("ris"))[0]["reason"] == "profile-violation"
    assert ris.got == []
    await desk.desk.retry("ris", None)
    await desk.until("ris", waiting=0, aside=0, delivered=1)
    assert len(ris.got) == 1


async def test_what_cannot_be_built_waits_for_a_person_and_holds_up_nothing(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    ris, ehr = await stack.enter_async_context(receiving()), await stack.enter_async_context(receiving())
    named = {each: (of.port, "pass_on: none\nstatus: orm") for each, of in (("ris", ris), ("ehr", ehr))}
    desk = await post(stack, url, tmp_path / "r.yaml", **named)
    await desk.send(orm())
    order, _ = await ids(desk)
    known = ReceiversFile(tmp_path / "r.yaml").get()
    bad = replace(known["ris"], own=replace(known["ris"].own, receiving_application="A^B^C^D"))
    telling = Telling(desk.outgoing, Fixed({**known, "ris": bad}), KEY, UTC)
    await desk.database.run(lambda c: telling.status_changed(c, order=order, state=State.COMPLETED, cause="x", now=NOW))
    await desk.until("ehr", waiting=0, delivered=1)
    await desk.until("ris", aside=1)
    assert (await desk.desk.shown("ris"))[0]["reason"] == "profile-violation"
    await desk.desk.retry("ris", None)
    await desk.until("ris", waiting=0, aside=0, delivered=1)
    sent, as_usual = (read(each.got[0], "utf-8") for each in (ris, ehr))
    assert (sent.header.raw(5), sent.required("OBR").text(18)) == ("A^B^C^D", as_usual.required("OBR").text(18))
