"""Messages that are mapped together leave what each alone would have left: every row, number and event."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.mapping_tables import loss_counts, loss_sets, losses
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.search_tables import dates, strings, tokens
from services.hl7_fhir.adapters.senders import Anybody, Registry
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.adapters.study_keys import order_keys
from services.hl7_fhir.adapters.tables import changes, order_numbers, resources, versions
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.adapters.worklist_tables import step_names, step_stations, steps
from services.hl7_fhir.domain.intake.senders import Sender
from services.hl7_fhir.domain.worklist.step import Rules
from services.hl7_fhir.handlers import Messages
from shared.sql import Database
from tests.integration.hl7_fhir.test_journal import KEY, SITE, Told
from tests.support.hl7 import adt, omi, orm

NOW = datetime(2026, 11, 27, tzinfo=UTC)
TABLES = (
    resources, versions, changes, tokens, dates, strings, order_numbers, losses, loss_sets, loss_counts, steps,
    step_names, step_stations, order_keys,
)  # fmt: skip


def feed() -> list[bytes]:
    """Patients that come, change and become one; their visits; orders that are placed, changed and taken back."""
    found: list[bytes] = []
    for at in range(4):
        person = f"PID|1||P{at}^^^HOSP^MR||Doe^Jane||1980020{at + 1}|F\rZPI|{at}"
        number = {"orc2": f"PL{at}^HIS", "obr2": f"PL{at}^HIS", "orc3": f"FI{at}^RIS", "obr3": f"FI{at}^RIS"}
        found += [
            adt("A01", control_id=f"a{at}", pid=person),
            orm(control_id=f"o{at}", pid=person, obr18=f"ACC{at}", **number),
            adt("A08", control_id=f"b{at}", time="20260101130000", pid=person.replace("Doe", "Roe")),
            orm("XO", control_id=f"x{at}", time="20260101140000", pid=person, obr18=f"ACC{at}", **number),
        ]
    found.append(omi())
    found.append(adt("A40", control_id="m", time="20260101150000").replace(b"PV1|1|O", b"MRG|P2^^^HOSP^MR"))
    found.append(orm("CA", control_id="c", time="20260101160000", orc2="PL1^HIS", obr2="PL1^HIS", orc3="", obr3=""))
    return [*found, *(adt("A08", control_id=f"z{at}", time=f"2026010117000{at}") for at in range(5))]


def orders() -> list[bytes]:
    """New orders of one patient."""
    numbers = [{"orc2": f"PL{at}^HIS", "obr2": f"PL{at}^HIS", "orc3": f"FI{at}^RIS", "obr3": ""} for at in range(16)]
    return [orm(control_id=f"o{at}", **number) for at, number in enumerate(numbers)]


async def left_by(
    url: str,
    portion: int,
    contents: Callable[[], list[bytes]] = feed,
    watch: Callable[[Database], None] = lambda _: None,
) -> dict[str, Any]:
    """The rows of every table, and the events, when so many messages are mapped in a transaction."""
    database, told = Database(url), Told()
    await database.migrate("services.hl7_fhir.migrations")
    others = Sender("", SITE)
    registry = Registry(Anybody(others), others, KEY)
    messages = Messages(registry, SqlJournal(database, Sealer(KEY)), Hl7apyProfiles(), KEY, clock=lambda: NOW)
    for content in contents():
        await messages.arrived(content)
    watch(database)
    follower = Steps(SITE, KEY, Rules())
    waiting = SqlWaiting(database, told, registry, KEY, Contents(Sealer(KEY)), [follower], clock=lambda: NOW)
    while await waiting.map_some(portion):
        pass
    read = await database.read(lambda c: {table.name: sorted(map(repr, c.execute(select(table)))) for table in TABLES})
    await database.close()
    return read | {"events": list(zip(told.ids, told.events, strict=True))}


async def test_each_alone_and_many_together_leave_the_same_on_sqlite(tmp_path: Path) -> None:
    alone = await left_by(f"sqlite:///{tmp_path / 'alone.db'}", 1)
    assert len(alone["resources"]) > 10
    for portion in (3, 16, 100):
        assert await left_by(f"sqlite:///{tmp_path / f'{portion}.db'}", portion) == alone


async def test_each_alone_and_many_together_leave_the_same_on_postgresql(postgres_server: Any) -> None:
    alone = await left_by(postgres_server.database(), 1)
    for portion in (3, 100):
        assert await left_by(postgres_server.database(), portion) == alone


async def test_messages_that_are_mapped_together_share_their_statements(tmp_path: Path) -> None:
    counted: list[int] = []

    def watch(database: Database) -> None:
        counted.append(0)

        @event.listens_for(database._writer, "before_cursor_execute")
        def count(*_: Any) -> None:
            counted[-1] += 1

    await left_by(f"sqlite:///{tmp_path / 'alone.db'}", 1, orders, watch)
    await left_by(f"sqlite:///{tmp_path / 'together.db'}", 16, orders, watch)
    assert counted[1] < counted[0] / 2


@pytest.mark.parametrize("portion", [1, 16])
async def test_nothing_of_a_portion_is_left_when_one_of_it_fails(tmp_path: Path, portion: int) -> None:
    database, told = Database(f"sqlite:///{tmp_path / 'x.db'}"), Told()
    await database.migrate("services.hl7_fhir.migrations")
    others = Sender("", SITE)
    registry = Registry(Anybody(others), others, KEY)
    messages = Messages(registry, SqlJournal(database, Sealer(KEY)), Hl7apyProfiles(), KEY, clock=lambda: NOW)
    for content in feed()[:3]:
        await messages.arrived(content)
    told.trouble = RuntimeError("once")
    waiting = SqlWaiting(database, told, registry, KEY, Contents(Sealer(KEY)), clock=lambda: NOW)
    with pytest.raises(RuntimeError):
        await waiting.map_some(portion)
    assert not await database.read(lambda c: c.execute(select(resources)).all())
    assert await waiting.map_some(16) == 3
    assert len(await database.read(lambda c: c.execute(select(changes)).all())) > 2
    await database.close()
