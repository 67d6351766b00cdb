"""The ledger on both databases, with everything it tells in the order in which it was told."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from contracts.events import BatchStored, CopyKey, Event, PackPlanned
from contracts.formats.manifest import Instance
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.adapters.sql_ledger import SqlLedger
from services.tier_routing.adapters.tables import metadata, outbox
from services.tier_routing.domain.identity import Arrived
from services.tier_routing.ports import Selection
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql.database import Database
from tests.support.databases import Migrated
from tests.support.postgres import Postgres
from tests.unit.tier_routing.makers import POLICY, at, batch, instance, key, manifest, policy, verified

SITE_KEY = SiteKey(bytes(range(32)))


@dataclass(frozen=True)
class Told:
    """An event in the outbox."""

    id: str
    fact: str
    data: dict[str, Any]
    traceparent: str | None
    links: list[str]


@dataclass
class Site:
    """A ledger, and a clock that only a test moves (seconds after noon)."""

    database: Database
    url: str
    text: str = POLICY
    now: float = 0
    heard: int = 0
    ledgers: dict[str, SqlLedger] = field(default_factory=dict)

    @property
    def ledger(self) -> SqlLedger:
        """The ledger under the policy of ``text``."""
        if self.text not in self.ledgers:
            out = Outbox(outbox, self.database, Bus(ServiceSettings(), "tier_routing"))
            desk = Desk(policy=policy(self.text), site_key=SITE_KEY, outbox=out)
            self.ledgers[self.text] = SqlLedger(database=self.database, desk=desk)
        return self.ledgers[self.text]

    def beside(self, heard: int = 0) -> "Site":
        """Another process on the same database."""
        return Site(Database(self.url), self.url, heard=heard)

    @property
    def moment(self) -> datetime:
        return at(self.now)

    async def store(
        self, name: str, *instances: Instance, study: str | None = "1.2", ae: str = "CT1", size: int = 100
    ) -> bool:
        """A batch arrives."""
        content = instances or (instance_of(name),)
        event = BatchStored(
            batch=batch(name, len(content), size),
            study_uid=study,
            study_ref=SITE_KEY.study_ref(study or ""),
            opened=self.moment,
            closed=self.moment,
        )
        arrived = Arrived(event, manifest(*content, batch=name, study=study, ae=ae), self.moment, f"trace-{name}")
        return await self.ledger.take_in(arrived)

    async def plan(self) -> list[PackPlanned]:
        """The study goes quiet: its packs are closed."""
        self.now += 10
        await self.ledger.close_due(self.moment)
        return [PackPlanned(**told.data) for told in await self.told("pack.planned")]

    async def hear(self, *events: Event) -> None:
        """Events arrive, one after the other."""
        for event in events:
            self.heard += 1
            await self.ledger.hear(event, f"event-{self.heard}", self.moment)

    async def prove(self, plan: PackPlanned, *targets: str, generation: int = 0) -> None:
        """The identified copies in these targets (or in all) are proven."""
        for copy in plan.copies:
            if copy.form == "identified" and (not targets or copy.target in targets):
                self.now += 1
                await self.hear(verified(self.key(plan, copy.target, generation), self.now))

    def key(self, plan: PackPlanned, target: str, generation: int = 0) -> CopyKey:
        return key(target, generation, pack=plan.pack_id, sealed_id=SITE_KEY.token("sealed", plan.pack_id))

    async def told(self, *facts: str) -> list[Told]:
        """What was told since the last question; of these facts, such as ``batch.secured``, if any are named."""
        rows = await self.database.run(lambda connection: _take(connection))
        return [row for row in rows if not facts or row.fact in facts]

    async def overdue(self) -> list[dict[str, Any]]:
        return await self.ledger.overdue(self.moment)

    async def replan(self, dry_run: bool = False, **selection: Any) -> dict[str, Any]:
        chosen = Selection(**selection) if selection else Selection(everything=True)
        return await self.ledger.replan(chosen, self.moment, dry_run=dry_run)


def instance_of(name: str) -> Instance:
    """The only instance of a batch that needs no particular one."""
    return instance(sum(name.encode()))


def _take(connection) -> list[Told]:
    rows = connection.execute(select(outbox).order_by(outbox.c.number)).all()
    connection.execute(delete(outbox))
    return [
        Told(
            row.id,
            ".".join(row.subject.split(".")[1:3]),
            json.loads(row.data),
            row.traceparent,
            json.loads(row.links),
        )
        for row in rows
    ]


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: Postgres, postgres_template: Callable[[str], str]) -> str:
    """A migrated PostgreSQL database, to be emptied."""
    return postgres_server.database(postgres_template("tier_routing"))


@pytest.fixture
def sqlite_ledger(migrated: Migrated) -> str:
    """An empty ledger in a file of its own."""
    return migrated("sqlite", "tier_routing")


@pytest.fixture(params=["sqlite", "postgres"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """An empty ledger with the policy of the makers, on SQLite and on PostgreSQL."""
    url = request.getfixturevalue(f"{request.param}_ledger")
    database = Database(url)
    if request.param == "postgres":
        await database.run(_empty)
    yield Site(database, url)
    await database.close()


def _empty(connection) -> None:
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
