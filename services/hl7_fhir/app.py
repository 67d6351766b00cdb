"""hl7_fhir: HL7 v2 messages in, FHIR R4 and facts about orders and patients out."""

from datetime import UTC, datetime

from contracts.events import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
    StudyMatched,
)
from contracts.events.study import StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from services.hl7_fhir import handlers
from services.hl7_fhir.adapters.indexing import Index
from services.hl7_fhir.adapters.intake import Intake
from services.hl7_fhir.adapters.listening import mllp_server, strangers
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.study_desk import StudyDesk
from services.hl7_fhir.adapters.subscribing import Subscribing
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.config import Settings
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql import Database


def build(settings: Settings | None = None) -> Service:
    """The service, ready to be run."""
    settings = settings or Settings()
    bus = Bus(settings, "hl7_fhir")
    database = Database(settings.database_url)
    site_key = SiteKey.load(settings.site_key_file)
    outbox = Outbox(outbox_rows, database, bus)
    studies = StudyDesk(settings, database, outbox, strangers(settings).site, site_key)
    on = handlers.StudyEvents(studies.journal, studies.summaries, *studies.bounds)
    intake = Intake(settings, database, outbox, site_key, (studies.follower,))
    post, subscribing = intake.post, Subscribing(settings, database, site_key)
    mapping = handlers.Mapping(intake.waiting)
    intake.journal.on_kept(mapping.wake)
    messages = handlers.Messages(intake.registry, intake.journal, intake.profiles, site_key)
    mllp = mllp_server(settings, messages.arrived, messages.oversize)
    couriers = handlers.Couriers(
        post.receivers, post.desk, post.outgoing, lambda named: handlers.Courier(named, *post.ends(named))
    )
    subscriptions = handlers.Subscriptions(
        store=subscribing.store,
        sockets=handlers.Sockets(subscribing.sockets, subscribing.bell),
        enabled=settings.fhir_subscriptions,
        endpoints=settings.fhir_subscription_endpoints,
    )
    writing = handlers.Writing(SqlWriter(database), settings.fhir_writes)
    fhir = handlers.Fhir(SqlResources(database), site_key, datetime.now(UTC), writing, extend=subscriptions.stated)
    return Service(
        name="hl7_fhir",
        settings=settings,
        bus=bus,
        consumes=(
            On(StudyReceived, on.received),
            On(StudyCompleted, on.completed),
            On(StudyRevised, on.completed),
            On(StudyArchived, on.archived),
        ),
        publishes=(
            OrderPlaced,
            OrderChanged,
            OrderCancelled,
            PatientRegistered,
            PatientUpdated,
            PatientMerged,
            StudyMatched,
        ),
        stores=("database",),
        tasks=(
            Task("mllp", mllp.run),
            Task("mapping", mapping.run),
            Task("outbox", outbox.relay),
            Task("retention", intake.archive.run),
            Task("couriers", couriers.run),
            Task("index", Index(database).build),
            *subscribing.tasks,
        ),
        routes=(
            *handlers.ArchiveRoutes(intake.archive, messages).routes(),
            *handlers.ReceiversRoutes(post.receivers, post.desk).routes(),
            *handlers.MatchesOverHttp(studies.matches).routes(),
            *subscriptions.routes(),
            *fhir.routes(),
        ),
        checks={"database": database.check, "mllp": mllp.check},
        starts=(lambda: database.migrate("services.hl7_fhir.migrations"), studies.journal.prepare),
        stops=(intake.profiles.close, database.close),
    )
