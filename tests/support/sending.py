"""The part of hl7_fhir that passes messages on, alive in the test's own process, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from contracts.events import Event
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.mllp_client import MllpLink
from services.hl7_fhir.adapters.outgoing import Outgoing
from services.hl7_fhir.adapters.outgoing_desk import OutgoingDesk
from services.hl7_fhir.adapters.outgoing_line import Lines
from services.hl7_fhir.adapters.own_messages import Telling
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.receivers import ReceiversFile
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Anybody, Registry
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.senders import Sender
from services.hl7_fhir.handlers import Courier, Couriers, Mapping, Messages
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.hl7 import code_of

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")


class NoEvents:
    """An outbox that forgets."""

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        """Nothing."""


@dataclass
class Post:
    """Takes messages and passes them on; ``desk`` is the operator's."""

    database: Database
    outgoing: Outgoing
    desk: OutgoingDesk
    telling: Telling
    couriers: Couriers

    async def send(self, *contents: bytes) -> list[str]:
        """MSA-1 of each answer."""
        others = Sender("", SITE)
        journal = SqlJournal(self.database, Sealer(KEY), self.outgoing)
        registry = Registry(Anybody(others), others, KEY)
        messages = Messages(registry, journal, Hl7apyProfiles(), KEY)
        codes = [code_of(answer) for each in contents for answer in await messages.arrived(each)]
        await Mapping(SqlWaiting(self.database, NoEvents(), registry, KEY, Contents(Sealer(KEY)))).map_all()
        return codes

    async def standing(self, name: str) -> dict[str, Any]:
        """Where a queue stands."""
        return (await self.desk.standing()).get(name, {})

    async def until(self, name: str, within: float = 90, **wanted: Any) -> dict[str, Any]:
        """Wait until the queue stands so."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(within):
            while not found or any(found[key] != value for key, value in wanted.items()):
                await asyncio.sleep(0.02)
                found = await self.standing(name)
        return found


@asynccontextmanager
async def posting(url: str, receivers: Path, *, migrate: bool = True) -> AsyncIterator[Post]:
    """A process's worth of it, as app.py puts it together."""
    database = Database(url)
    if migrate:
        await database.migrate("services.hl7_fhir.migrations")
    named = ReceiversFile(receivers)
    outgoing = Outgoing(named)
    desk, lines = OutgoingDesk(database, outgoing), Lines(database, Contents(Sealer(KEY)).read)
    couriers = Couriers(named, desk, outgoing, lambda one: Courier(one, lines.of(one), MllpLink(one)))
    task = asyncio.create_task(couriers.run())
    yield Post(database, outgoing, desk, Telling(outgoing, named, KEY, SITE.zone), couriers)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()
