"""forwarding: the flow, once for each destination."""

from contracts.events import BatchArchived, BatchStored, ForwardDelivered, ForwardFailed, StepReported, StudyArchived
from services.forwarding.adapters.destinations import load_destinations
from services.forwarding.adapters.outside import Stores
from services.forwarding.adapters.queues import Queues
from services.forwarding.adapters.tables import outbox as outbox_rows
from services.forwarding.config import Settings
from services.forwarding.handlers.desks import Pauses, desk_of
from services.forwarding.handlers.events import Archiving
from services.forwarding.handlers.http import DestinationsRoutes
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql import Database


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    site_key, bus = SiteKey.load(settings.site_key_file), Bus(settings, "forwarding")
    database = Database(settings.database_url)
    outbox = Outbox(outbox_rows, database, bus)
    stores = Stores(settings, database, outbox, site_key)
    pauses = Pauses(settings.breaker_first, settings.breaker_longest, settings.look_every)
    destinations = load_destinations(settings.destinations_file)
    desks = {name: desk_of(destination, stores, pauses) for name, destination in destinations.items()}
    return Service(
        name="forwarding",
        settings=settings,
        bus=bus,
        consumes=(
            *(On(BatchStored, desk.queue.batch_stored, target=name, at_once=1) for name, desk in desks.items()),
            *(On(StepReported, desk.queue.step_reported, target=name, at_once=1) for name, desk in desks.items()),
            *(On(StudyArchived, desk.queue.study_archived, target=name, at_once=1) for name, desk in desks.items()),
            On(BatchArchived, Archiving(stores.archives).batch_archived),
        ),
        publishes=(ForwardDelivered, ForwardFailed),
        stores=("database",),
        tasks=(
            Task("outbox", outbox.relay),
            *(Task(f"retry-{name}", desk.queue.retry) for name, desk in desks.items()),
        ),
        routes=tuple(DestinationsRoutes(desks, Queues(bus)).routes()),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.forwarding.migrations"),),
        interrupts=(
            *(desk.circuit.interrupt for desk in desks.values()),
            *(desk.gate.interrupt for desk in desks.values()),
        ),
        stops=(*(desk.close for desk in desks.values()), database.close),
    )
