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
    PackSealed,
    StudyArchived,
    StudyCompleted,
    StudyReceived,
    StudyRevised,
)
from services.catalog.adapters.backlog import StreamBacklog
from services.catalog.adapters.documents import StoredDocuments
from services.catalog.adapters.tables import outbox
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
    bus = Bus(settings, "catalog")
    database = Database(settings.database_url)
    urls = {"landing": settings.landing_url, "deid": settings.deid_url, "summaries": settings.summaries_url}
    documents = StoredDocuments({name: open_store(url) for name, url in urls.items()})
    out = Outbox(outbox, database, bus)
    events = EventHandlers(
        database=database,
        documents=documents,
        quiet=settings.study_quiet,
        quiet_by_source=settings.study_quiet_by_source,
    )
    life = LifeCycle(
        database=database,
        documents=documents,
        backlog=StreamBacklog(bus, "catalog"),
        site_key=SiteKey.load(settings.site_key_file),
        out=out,
        look_every=settings.study_look_every,
    )
    return Service(
        name="catalog",
        settings=settings,
        bus=bus,
        consumes=(
            On(BatchStored, events.batch_stored),
            On(PackPlanned, events.pack_planned),
            On(PackDeidentified, events.pack_deidentified),
            On(InstancesQuarantined, events.instances_quarantined),
            On(PackSealed, events.pack_sealed),
            On(CopyWritten, events.copy_written),
            On(CopyVerified, events.copy_verified),
            On(CopyDamaged, events.copy_damaged),
            On(CopyFailed, events.copy_failed),
            On(CopyRemoved, events.copy_removed),
            On(BatchArchived, events.batch_archived),
            On(OrderPlaced, events.order_known),
            On(OrderChanged, events.order_known),
            On(OrderCancelled, events.order_cancelled),
        ),
        publishes=(StudyReceived, StudyCompleted, StudyRevised, StudyArchived),
        tasks=(Task("outbox", out.relay), Task("life-cycle", life.run)),
        routes=HttpHandlers(database=database, access=log_access).routes(),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.catalog.migrations"),),
        stops=(database.close,),
    )
