"""The flow of the catalogue: everything that is said becomes the index; the index answers and tells of studies."""

from contracts.events import (
    BatchArchived,
    BatchStored,
    CopyDamaged,
    CopyFailed,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    InstancesQuarantined,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PackDeidentified,
    PackPlanned,
    PackRecalled,
    PackSealed,
    PatientMerged,
    StepReported,
)
from contracts.events.study import StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from services.catalog.adapters.backlog import StreamBacklog
from services.catalog.adapters.documents import StoredDocuments
from services.catalog.adapters.index import SqlIndex, SqlQuestions
from services.catalog.adapters.tables import outbox
from services.catalog.adapters.writer import LeasedStudies
from services.catalog.config import Settings
from services.catalog.handlers.events import EventHandlers
from services.catalog.handlers.http import HttpHandlers
from services.catalog.handlers.lifecycle import LifeCycle
from shared.http.access import log_access
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql.database import Database
from shared.storage.opening import open_store


def build(settings: Settings | None = None) -> Service:
    """Construct the catalogue."""
    settings = settings or Settings()
    bus, database = Bus(settings, "catalog"), Database(settings.database_url)
    urls = {"landing": settings.landing_url, "deid": settings.deid_url, "summaries": settings.summaries_url}
    documents = StoredDocuments({name: open_store(url) for name, url in urls.items()})
    index, out, site_key = SqlIndex(database), Outbox(outbox, database, bus), SiteKey.load(settings.site_key_file)
    quiet, by_source = settings.study_quiet, settings.study_quiet_by_source
    on = EventHandlers(arrivals=index, copies=index, documents=documents, quiet=quiet, quiet_by_source=by_source)
    studies, backlog = LeasedStudies(database=database, outbox=out, site_key=site_key), StreamBacklog(bus, "catalog")
    asked = SqlQuestions(database, site_key, settings.patient_issuer)
    every = settings.study_look_every
    life = LifeCycle(studies=studies, documents=documents, backlog=backlog, site_key=site_key, look_every=every)
    return Service(
        name="catalog",
        settings=settings,
        bus=bus,
        consumes=(
            On(BatchStored, on.batch_stored),
            On(PackPlanned, on.pack_planned),
            On(PackDeidentified, on.pack_deidentified),
            On(InstancesQuarantined, on.instances_quarantined),
            *(On(PackRecalled, on.pack_recalled), On(PackSealed, on.pack_sealed)),
            On(CopyWritten, on.copy_written),
            On(CopyVerified, on.copy_verified),
            On(CopyDamaged, on.copy_damaged),
            *(On(CopyFailed, on.copy_failed), On(CopyRemoved, on.copy_removed)),
            On(BatchArchived, on.batch_archived),
            *(On(order, on.order_known) for order in (OrderPlaced, OrderChanged)),
            On(OrderCancelled, on.order_cancelled),
            *(On(PatientMerged, on.patient_merged), On(StepReported, on.step_reported)),
        ),
        publishes=(StudyReceived, StudyCompleted, StudyRevised, StudyArchived),
        stores=("database", "summaries"),
        tasks=(Task("outbox", out.relay), Task("life-cycle", life.run)),
        routes=HttpHandlers(questions=asked, access=log_access).routes(),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.catalog.migrations"),),
        stops=(database.close,),
    )
