"""What is let go in its time, and what never is, on SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.dialects import sqlite

from services.hl7_fhir.adapters import step_evidence
from services.hl7_fhir.adapters.archive import SqlArchive
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.forgetting import Ages, Forgetting
from services.hl7_fhir.adapters.mapping_tables import loss_counts, loss_sets, losses
from services.hl7_fhir.adapters.outgoing import is_awaited
from services.hl7_fhir.adapters.outgoing_tables import outgoing, told
from services.hl7_fhir.adapters.refusals import _HELD, Limits, Refusals
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.search_tables import dates, tokens
from services.hl7_fhir.adapters.subscription_tables import subscription_events
from services.hl7_fhir.adapters.tables import changes, messages, resources, versions
from services.hl7_fhir.adapters.worklist_tables import (
    step_report_steps,
    step_report_studies,
    step_reports,
    steps,
    study_images,
)
from services.hl7_fhir.domain.fhir.parameters import indexed
from services.hl7_fhir.domain.intake.senders import Origin
from shared.sql import Database
from tests.integration.hl7_fhir.test_journal import KEY, Desk, Told
from tests.support.databases import Migrated
from tests.support.hl7 import adt, code_of, orm

BROKEN = orm().replace(b"ORC|NW", b"ORC|")
#: Of the search parameters of Provenance.
NUMBERS = {parameter.name: parameter.number for parameter in indexed("Provenance")}
DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    yield Desk(database, Told())
    await database.close()


async def count(desk: Desk, table: Table) -> int:
    return await desk.database.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())


async def forget(desk: Desk, after: timedelta, versions_after: timedelta | None = None) -> dict[str, int]:
    """What goes that is older than ten days, so long from now."""
    later = datetime.now(UTC) + after
    needed = (is_awaited(),)
    await SqlArchive(desk.database, Contents(Sealer(KEY)), DAY, still_needed=needed, clock=lambda: later).let_go()
    ages = Ages(10 * DAY, versions_after)
    return await Forgetting(desk.database, ages, still_needed=needed, clock=lambda: later).forget(2, 0)


async def test_messages_go_with_what_they_lost_and_a_repeat_is_a_new_one_then(desk: Desk) -> None:
    for number in range(5):
        await desk.send(adt(control_id=f"{number}") + b"ZPI|1|x\r")
    await desk.send(BROKEN)
    assert await count(desk, losses) == 5
    assert await forget(desk, 9 * DAY) == {}
    assert await forget(desk, 11 * DAY) == {"messages": 6, "loss_counts": 1, "loss_sets": 1}
    assert [await count(desk, each) for each in (messages, losses, loss_counts, loss_sets)] == [0, 0, 0, 0]
    assert await desk.send(adt(control_id="0") + b"ZPI|1|x\r") == "AA"
    assert await count(desk, losses) == 1


async def test_what_waits_has_failed_or_is_awaited_by_a_receiver_stays(desk: Desk) -> None:
    for number in range(3):
        await desk.parts()[0].arrived(adt(control_id=f"{number}"))
    first, second, third = await desk.rows()

    def settle(connection) -> None:
        named = update(messages).where(messages.c.sequence == second.sequence)
        connection.execute(named.values(state="failed"))
        connection.execute(update(messages).where(messages.c.sequence == third.sequence).values(state="done"))
        row = {"receiver": "pacs", "kind": "passed-on", "sequence": third.sequence, "ref": third.ref}
        connection.execute(insert(outgoing).values(**row, queued=0, state=0, attempts=0))

    await desk.database.run(settle)
    assert await forget(desk, 11 * DAY) == {}
    assert [row.content is None for row in await desk.rows()] == [False, True, False]
    assert first.state == "waiting"


async def test_what_was_told_is_known_as_long_as_messages_are(desk: Desk) -> None:
    now = datetime.now(UTC).timestamp()
    rows = [{"ref": f"{days}", "at": now - days * 86400} for days in range(5)]
    await desk.database.run(lambda c: c.execute(insert(told), rows))
    assert await forget(desk, 8 * DAY) == {"outgoing_told": 3}


async def test_what_was_heard_of_studies_without_a_step_goes_and_that_of_others_stays(desk: Desk) -> None:
    def hear(connection, study: str) -> None:
        step_evidence.add_images(connection, study, "completed")
        step_evidence.add_report(connection, f"r{study}", 1, "completed", [study], ["SPS1"])

    for study in ("1.2.3", "1.2.4"):
        await desk.database.run(lambda c, study=study: hear(c, study))
    await desk.database.run(lambda c: c.execute(insert(steps).values(_step("1.2.4"))))
    assert await forget(desk, 9 * DAY) == {}
    assert await forget(desk, 11 * DAY) == {"study_images": 1, "step_reports": 1}
    for table in (study_images, step_reports, step_report_studies, step_report_steps):
        assert await count(desk, table) == 1


def _step(study: str) -> dict[str, object]:
    texts = {column.name: "" for column in steps.c if not column.nullable}
    return {**texts, "study_uid": study, "created": datetime.now(UTC), "listed": False}


async def patients(desk: Desk, number: int) -> None:
    """So many versions of one patient."""
    for at in range(number):
        pid = f"PID|1||P1^^^H||Doe^{'ABCDEF'[at]}"
        await desk.send(adt("A08", control_id=f"{at}", time=f"202601011200{at:02}", pid=pid))


async def provenance(desk: Desk) -> dict[str, int]:
    """How many there are: as resources, as versions, and as targets and dates that they are searched by."""

    def counted(connection) -> dict[str, int]:
        wanted = {
            "resources": select(resources.c.number).where(resources.c.type == "Provenance"),
            "versions": select(versions.c.id).where(versions.c.type == "Provenance"),
            "targets": select(tokens.c.number).where(tokens.c.parameter == NUMBERS["target"]),
            "dates": select(dates.c.number).where(dates.c.parameter == NUMBERS["recorded"]),
        }
        return {name: len(connection.execute(each).all()) for name, each in wanted.items()}

    return await desk.database.read(counted)


async def test_provenance_goes_with_the_message_that_it_tells_of(desk: Desk) -> None:
    for number in range(3):
        await desk.send(adt(control_id=f"{number}", pid=f"PID|1||P{number}^^^H"))
    at_first = await provenance(desk)
    assert at_first == {"resources": 3, "versions": 3, "targets": at_first["targets"], "dates": 3}
    assert at_first["targets"] >= 3
    await desk.database.run(lambda c: c.execute(changes.delete()))
    await forget(desk, 9 * DAY)
    assert await provenance(desk) == at_first
    own = {"number": 999, "type": "Provenance", "id": "own", "version": 1, "updated": datetime.now(UTC)}
    row = {**own, "message_ref": "", "record": "{}", "body": "{}"}
    await desk.database.run(lambda c: c.execute(insert(resources).values(**row)))
    assert (await forget(desk, 11 * DAY))["provenance"] == 3
    assert await provenance(desk) == {"resources": 1, "versions": 0, "targets": 0, "dates": 0}
    assert await count(desk, versions) > 0, "what the messages said stays"


async def test_provenance_of_a_message_that_is_still_needed_stays(desk: Desk) -> None:
    await desk.send(adt())
    await desk.database.run(lambda c: c.execute(update(messages).values(state="failed")))
    await desk.database.run(lambda c: c.execute(changes.delete()))
    await forget(desk, 11 * DAY)
    assert (await provenance(desk))["resources"] == 1


async def test_provenance_that_a_subscriber_may_yet_hear_of_stays(desk: Desk) -> None:
    await desk.send(adt())
    assert "provenance" not in await forget(desk, 11 * DAY)
    assert (await provenance(desk))["resources"] == 1


async def shown(desk: Desk) -> list[int]:
    of_patients = select(versions.c.version).where(versions.c.type == "Patient").order_by(versions.c.version)
    return await desk.database.read(lambda c: list(c.execute(of_patients).scalars()))


async def test_superseded_versions_stay_unless_the_site_wants_otherwise_and_the_present_one_always(desk: Desk) -> None:
    await patients(desk, 4)
    await desk.database.run(lambda c: c.execute(changes.delete()))
    await forget(desk, 400 * DAY)
    assert await shown(desk) == [1, 2, 3, 4]
    await forget(desk, 4 * DAY, 5 * DAY)
    assert await shown(desk) == [1, 2, 3, 4]
    assert (await forget(desk, 6 * DAY, 5 * DAY))["versions"] >= 3
    assert await shown(desk) == [4]


async def test_versions_that_a_subscriber_may_yet_ask_for_stay(desk: Desk) -> None:
    await patients(desk, 3)
    await forget(desk, 6 * DAY, 5 * DAY)
    assert await shown(desk) == [1, 2, 3]
    event = {"subscription": "s", "number": 1, "change": 1, "type": "Patient", "id": "x", "version": 1, "created": True}

    def heard(connection) -> None:
        connection.execute(changes.delete())
        connection.execute(insert(subscription_events).values(**event, at=datetime.now(UTC) - DAY))

    await desk.database.run(heard)
    await forget(desk, 6 * DAY, 5 * DAY)
    assert await shown(desk) == [1, 2, 3]


def broken(number: int, size: int = 3000) -> bytes:
    return BROKEN.replace(b"|O1|", b"|O%d|" % number) + b"ZXX|" + b"x" * size + b"\r"


async def refused(desk: Desk, peer: str, numbers: range) -> None:
    for number in numbers:
        (answer,) = await desk.parts()[0].arrived(broken(number), Origin(peer))
        assert code_of(answer) == "AE"


def bounds(desk: Desk, each: int, together: int) -> Refusals:
    return Refusals(desk.database, Limits(each, together), still_needed=(is_awaited(),))


async def left(desk: Desk) -> list[tuple[str, str]]:
    return [(row.peer, row.control_id) for row in await desk.rows()]


async def test_of_refused_messages_the_oldest_of_those_who_send_most_go_first(desk: Desk) -> None:
    await refused(desk, "10.0.0.1", range(2))
    await refused(desk, "10.0.0.2", range(10, 20))
    assert await bounds(desk, 10**6, 10**6).bound() == 0
    assert await bounds(desk, 20_000, 10**6).bound() == 6
    quiet = [("10.0.0.1", "O0"), ("10.0.0.1", "O1")]
    assert await left(desk) == quiet + [("10.0.0.2", f"O{n}") for n in range(16, 20)]
    assert await bounds(desk, 20_000, 20_000).bound() == 2
    assert await left(desk) == quiet + [("10.0.0.2", f"O{n}") for n in range(18, 20)]
    assert await bounds(desk, 0, 0).bound() == 4


async def test_what_was_acknowledged_or_is_awaited_never_goes_for_its_size(desk: Desk) -> None:
    await refused(desk, "10.0.0.1", range(2))
    await desk.parts()[0].arrived(adt(), Origin("10.0.0.1"))
    await desk.send(orm())
    await desk.parts()[0].arrived(orm(control_id="3"), Origin("10.0.0.1"))
    one, *_, failed = await desk.rows()

    def settle(connection) -> None:
        connection.execute(update(messages).where(messages.c.sequence == failed.sequence).values(state="failed"))
        row = {"receiver": "pacs", "kind": "passed-on", "sequence": one.sequence, "ref": one.ref}
        connection.execute(insert(outgoing).values(**row, queued=0, state=0, attempts=0))

    await desk.database.run(settle)
    assert await bounds(desk, 0, 0).bound() == 1
    assert [row.control_id for row in await desk.rows()] == ["O0", "C1", "O1", "3"]


async def test_a_flood_of_refused_messages_wakes_the_one_who_bounds_them() -> None:
    woken = Refusals(None, Limits(65_536, 10**9))  # type: ignore[arg-type]  # nothing is asked of the database
    woken.refused([900])
    assert not woken._woken.is_set()
    woken.refused([900, 900])
    assert woken._woken.is_set()


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)  # which would read through every content
async def test_the_size_of_what_was_refused_is_summed_in_an_index(desk: Desk) -> None:
    sql = str(_HELD.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    plan = text(f"EXPLAIN QUERY PLAN {sql}")
    told_of = await desk.database.read(lambda c: " ".join(row[-1] for row in c.execute(plan)))
    assert "COVERING INDEX messages_refused" in told_of
