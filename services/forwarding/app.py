"""forwarding: the flow, once for each destination."""

from contracts.events import BatchArchived, BatchStored, ForwardDelivered, ForwardFailed
from contracts.formats.keys import FileKeyEncryptionKeys
from services.forwarding.adapters.archives import ArchivedBatches
from services.forwarding.adapters.destinations import load_destinations, open_sender
from services.forwarding.adapters.inputs import SealedCopies, StoredInputs
from services.forwarding.adapters.ledger import DestinationLedger
from services.forwarding.adapters.queues import Queues
from services.forwarding.adapters.tables import outbox as outbox_rows
from services.forwarding.config import Settings
from services.forwarding.domain.answers import DestinationAway
from services.forwarding.handlers.events import Archiving, Forwarding
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.http import Desk, DestinationsRoutes
from shared.breaker import Breaker
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql import Database
from shared.storage import open_store
from shared.storage.targets import load_targets, open_target


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    site_key, bus = SiteKey.load(settings.site_key_file), Bus(settings, "forwarding")
    database = Database(settings.database_url)
    archives, outbox = ArchivedBatches(database), Outbox(outbox_rows, database, bus)
    targets = {name: open_target(target) for name, target in load_targets(settings.targets_file).items()}
    keys = FileKeyEncryptionKeys(settings.kek_dir)
    sealed = SealedCopies(site_key, targets, open_store(settings.keys_url), keys)
    inputs = StoredInputs(open_store(settings.landing_url), archives, sealed)
    pauses = {"first": settings.breaker_first, "longest": settings.breaker_longest}

    def desk_of(name: str) -> Desk:
        ledger, destination = DestinationLedger(name, database, outbox, site_key), destinations[name]
        gate = Gate(by_file=destination.held, decided=ledger.is_held, look_every=settings.look_every)
        forwarding = Forwarding(
            destination=destination,
            inputs=inputs,
            sender=senders[name],
            ledger=ledger,
            circuit=circuits[name],
            gate=gate,
            look_every=settings.look_every,
        )
        return Desk(destination.kind, ledger, gate, forwarding)

    destinations = load_destinations(settings.destinations_file)
    senders = {name: open_sender(destination) for name, destination in destinations.items()}
    circuits = {
        name: Breaker(target=name, away=DestinationAway, probe=senders[name].probe, **pauses) for name in senders
    }
    desks = {name: desk_of(name) for name in destinations}
    return Service(
        name="forwarding",
        settings=settings,
        bus=bus,
        consumes=(
            *(On(BatchStored, desk.forwarding.batch_stored, target=name, at_once=1) for name, desk in desks.items()),
            On(BatchArchived, Archiving(archives).batch_archived),
        ),
        publishes=(ForwardDelivered, ForwardFailed),
        stores=("database",),
        tasks=(
            Task("outbox", outbox.relay),
            *(Task(f"retry-{name}", of.forwarding.retry) for name, of in desks.items()),
        ),
        routes=tuple(DestinationsRoutes(desks, Queues(bus)).routes()),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.forwarding.migrations"),),
        interrupts=(*(one.interrupt for one in circuits.values()), *(one.gate.interrupt for one in desks.values())),
        stops=(*(sender.close for sender in senders.values()), database.close),
    )
