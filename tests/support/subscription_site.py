"""The parts of subscriptions over a real database, without the service around them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update

from services.hl7_fhir.adapters.bell import Bell
from services.hl7_fhir.adapters.deliveries import Patience, SqlDeliveries
from services.hl7_fhir.adapters.dispatch import Dispatcher
from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.holders import Standing
from services.hl7_fhir.adapters.resources import load, save
from services.hl7_fhir.adapters.socket_deliveries import SqlSocketDeliveries
from services.hl7_fhir.adapters.subscription_tables import subscriptions
from services.hl7_fhir.adapters.subscriptions import SqlSubscriptions
from services.hl7_fhir.domain.clinical.record import Known
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, read
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.subscriptions import asked

KEY = SiteKey(b"k" * 32)
BASE = "https://pacs.example/fhir"
WHO = "ehr"


@dataclass
class Site:
    """The parts of subscriptions over one real database; a second one is another replica."""

    database: Database
    patience: Patience = field(default_factory=lambda: Patience(first=0.05, longest=0.1, give_up=60))

    #: Clients that hold a token, and whether nobody knows it of the others.
    known: set[str] = field(default_factory=lambda: {WHO})
    is_unsure: bool = False

    def standing_of(self, who: str) -> Standing:
        """How a client stands."""
        if who in self.known:
            return Standing.KNOWN
        return Standing.UNSURE if self.is_unsure else Standing.WITHDRAWN

    def __post_init__(self) -> None:
        self.vault = HeaderVault(KEY)
        self.bell = Bell()
        self.store = SqlSubscriptions(self.database, self.vault, 10)
        self.dispatcher = Dispatcher(self.database, self.vault, self.bell, poll=0.05, keep=3600)
        self.deliveries = SqlDeliveries(self.database, self.vault, self.patience, self.standing_of)
        self.sockets = SqlSocketDeliveries(self.database, self.vault, self.standing_of)

    async def change(self, resource_id: str, kind: str = "Patient", **body: Any) -> None:
        """Write a version of a resource, as a message would."""

        def write(connection: Any) -> None:
            before = load(connection, kind, resource_id)
            number = before.version if before else 0
            document = {"resourceType": kind, "language": f"x-{number}", **body}
            save(
                connection,
                kind=kind,
                resource_id=resource_id,
                before=before,
                record={"PID-5": Known((((str(number),),),), datetime.now(UTC))},
                body=document,
                patient=None,
                message_ref="m" * 32,
                now=datetime.now(UTC),
            )

        await self.database.run(write)

    async def subscribe(self, *given: Any, active: bool = True, **more: Any) -> Subscription:
        made = await self.store.create(WHO, BASE, read(asked(*given, **more)))
        if active and made.status is Status.REQUESTED:
            await self.set(made, status="active")
        return await self.present(made)

    async def present(self, one: Subscription) -> Subscription:
        found = await self.store.read(WHO, one.id)
        assert found is not None
        return found

    async def set(self, one: Subscription, **values: Any) -> None:
        changed = update(subscriptions).where(subscriptions.c.id == one.id).values(values)
        await self.database.run(lambda connection: connection.execute(changed))

    async def dispatch(self) -> None:
        while await self.dispatcher.advance():
            pass

    async def numbers(self, one: Subscription) -> list[int]:
        return [event.number for event in await self.store.events(one.id, 1, None, 100)]
