"""verification: the flow, once for each target."""

from contracts.events import CopyAbsent, CopyDamaged, CopyExpired, CopyRemoved, CopyVerified, CopyWritten
from contracts.formats.keys import FileKeyEncryptionKeys
from services.verification.adapters.ledger import CopyLedger
from services.verification.adapters.reading import StudyKeys, TargetReading
from services.verification.adapters.tables import outbox
from services.verification.config import Settings
from services.verification.handlers import Expiry, TargetProofs, VerifyRoute
from shared.breaker import Breaker
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql import Database
from shared.storage import StoreUnavailable, open_store
from shared.storage.targets import load_targets, open_target


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    bus, database = Bus(settings, "verification"), Database(settings.database_url)
    outgoing = Outbox(outbox, database, bus)
    ledger = CopyLedger(
        database=database,
        outbox=outgoing,
        site_key=SiteKey.load(settings.site_key_file),
        reprove_after=settings.reprove_after,
    )
    targets, key_records = load_targets(settings.targets_file), open_store(settings.keys_url)

    names = settings.verification_targets or tuple(targets)

    def reading_of(name: str) -> TargetReading:
        study_keys = StudyKeys.beside(targets[name], key_records, FileKeyEncryptionKeys(settings.kek_dir))
        is_locked = targets[name].lock_days is not None
        return TargetReading(target=open_target(targets[name]), study_keys=study_keys, is_locked=is_locked)

    def circuit(name: str) -> Breaker:
        pauses = {"first": settings.breaker_first, "longest": settings.breaker_longest}
        return Breaker(target=name, away=StoreUnavailable, probe=readings[name].probe, **pauses)

    def proofs(name: str) -> TargetProofs:
        return TargetProofs(
            target=name,
            reading=readings[name],
            ledger=ledger,
            circuit=circuits[name],
            reprove_after=settings.reprove_after,
            look_every=settings.reprove_look_every,
        )

    readings = {name: reading_of(name) for name in names}
    circuits = {name: circuit(name) for name in names}
    each = {name: proofs(name) for name in names}
    at_once = settings.copies_at_once
    return Service(
        name="verification",
        settings=settings,
        bus=bus,
        consumes=(
            *(On(CopyWritten, of.copy_written, target=name, at_once=at_once) for name, of in each.items()),
            *(On(CopyRemoved, of.copy_removed, target=name, at_once=1) for name, of in each.items()),
            On(CopyExpired, Expiry(ledger).copy_expired),
        ),
        publishes=(CopyVerified, CopyDamaged, CopyAbsent),
        stores=("database",),
        tasks=(Task("outbox", outgoing.relay), *(Task(f"proofs-{name}", of.schedule) for name, of in each.items())),
        routes=(VerifyRoute(ledger, each).route(),),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.verification.migrations"),),
        interrupts=tuple(one.interrupt for one in circuits.values()),
        stops=(database.close,),
    )
