"""deid: the flow."""

from contracts.events import (
    BatchArchived,
    CopyAbsent,
    CopyDamaged,
    CopyRemoved,
    CopyVerified,
    InstancesQuarantined,
    PackDeidentified,
    PackPlanned,
    PackRecalled,
    PatientMerged,
)
from services.deid import handlers as on
from services.deid.adapters.clock import now
from services.deid.adapters.parts import Parts
from services.deid.config import Settings
from shared.allocator import return_large_blocks
from shared.messaging.bus import Bus
from shared.service import On, Service, Task


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    bus = Bus(settings, "deid")
    parts = Parts(settings, bus)
    identities = parts.identities
    packs = on.DeidHandlers(
        site_key=parts.site_key,
        inputs=parts.inputs,
        projects=identities.projects,
        work_area=parts.work_area,
        register=parts.register,
        packs_at_once=settings.packs_at_once,
    )
    deciding = on.Deciding(
        parts.site_key, parts.quarantine, identities.projects, parts.work_area, settings.quarantine_days
    )
    quarantine = on.QuarantineHandlers(parts.quarantine, deciding, parts.rendering, now)
    reports = on.ReportHandlers(parts.register, parts.work_area)
    people = on.IdentityHandlers(identities=identities.map, readers=frozenset(settings.identity_readers), clock=now)
    merges = on.MergeHandlers(merges=identities.merges, clock=now)
    recalls = on.RecallHandlers(recalls=parts.recalls, work_area=parts.work_area, clock=now)
    return Service(
        name="deid",
        settings=settings,
        bus=bus,
        consumes=(
            On(PackPlanned, packs.pack_planned),
            On(BatchArchived, packs.batch_archived),
            On(CopyVerified, packs.copy_verified),
            On(CopyDamaged, packs.copy_damaged),
            On(CopyRemoved, packs.copy_removed),
            On(CopyAbsent, recalls.copy_absent),
            On(PatientMerged, merges.patient_merged),
        ),
        routes=(*quarantine.routes(), *reports.routes(), *people.routes(), *merges.routes(), *recalls.routes()),
        publishes=(PackDeidentified, PackRecalled, InstancesQuarantined),
        stores=("database", "deid"),
        tasks=(
            Task("outbox", parts.outbox.relay),
            Task("journal", identities.journal.run),
            Task("recalls", recalls.run),
            Task("quarantine", lambda: deciding.run(now)),
        ),
        checks={"database": parts.database.check},
        starts=(
            return_large_blocks,
            lambda: parts.database.migrate("services.deid.migrations"),
            identities.map.prepare,
        ),
        stops=(parts.pictures.stop, parts.database.close),
    )
