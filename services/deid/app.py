"""deid: the flow."""

from contracts.events import (
    BatchArchived,
    CopyDamaged,
    CopyRemoved,
    CopyVerified,
    InstancesQuarantined,
    PackDeidentified,
    PackPlanned,
    PatientMerged,
)
from contracts.formats.keys import FileKeyEncryptionKeys
from services.deid.adapters.allocator import return_large_blocks
from services.deid.adapters.clock import now
from services.deid.adapters.identities import Identities
from services.deid.adapters.inputs import SealedCopies, StoredInputs
from services.deid.adapters.register import SqlRegister
from services.deid.adapters.tables import outbox as outbox_rows
from services.deid.adapters.work_area import StoredWorkArea
from services.deid.config import Settings
from services.deid.handlers import DeidHandlers, IdentityHandlers, MergeHandlers, QuarantineHandlers
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
    bus = Bus(settings, "deid")
    database = Database(settings.database_url)
    outbox = Outbox(outbox_rows, database, bus)
    deid_store, keks = open_store(settings.deid_url), FileKeyEncryptionKeys(settings.kek_dir)
    site_key = SiteKey.load(settings.site_key_file)
    identities = Identities(settings, database, deid_store, keks, site_key)
    register = SqlRegister(database, outbox, identities.map)
    sealed = SealedCopies(
        {name: open_target(target) for name, target in load_targets(settings.targets_file).items()},
        open_store(settings.keys_url),
        keks,
    )
    handlers = DeidHandlers(
        site_key=site_key,
        inputs=StoredInputs(open_store(settings.landing_url), register, sealed),
        projects=identities.projects,
        work_area=StoredWorkArea(deid_store, settings.work_dir),
        register=register,
        packs_at_once=settings.packs_at_once,
    )
    people = IdentityHandlers(identities=identities.map, readers=frozenset(settings.identity_readers), clock=now)
    merges = MergeHandlers(merges=identities.merges, clock=now)
    return Service(
        name="deid",
        settings=settings,
        bus=bus,
        consumes=(
            On(PackPlanned, handlers.pack_planned),
            On(BatchArchived, handlers.batch_archived),
            On(CopyVerified, handlers.copy_verified),
            On(CopyDamaged, handlers.copy_damaged),
            On(CopyRemoved, handlers.copy_removed),
            On(PatientMerged, merges.patient_merged),
        ),
        routes=(*QuarantineHandlers(quarantine=register).routes(), *people.routes(), *merges.routes()),
        publishes=(PackDeidentified, InstancesQuarantined),
        stores=("database", "deid"),
        tasks=(Task("outbox", outbox.relay), Task("journal", identities.journal.run)),
        checks={"database": database.check},
        starts=(
            return_large_blocks,
            lambda: database.migrate("services.deid.migrations"),
            identities.map.prepare,
        ),
        stops=(database.close,),
    )
