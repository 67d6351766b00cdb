"""hl7_fhir: HL7 v2 messages in, FHIR R4 and facts about orders and patients out."""

from datetime import UTC, datetime

from contracts.events import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
)
from services.hl7_fhir import handlers
from services.hl7_fhir.adapters.indexing import Index
from services.hl7_fhir.adapters.intake import Intake
from services.hl7_fhir.adapters.listening import mllp_server, strangers
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.subscribing import Subscribing
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.config import Settings
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import Service, Task
from shared.sql import Database


def build(settings: Settings | None = None) -> Service:
    """The service, ready to be run."""
    settings = settings or Settings()
    bus, database = Bus(settings, "hl7_fhir"), Database(settings.database_url)
    outbox, site_key = Outbox(outbox_rows, database, bus), SiteKey.load(settings.site_key_file)
    stepping = Stepping(settings, database, strangers(settings).site, site_key)
    worklists = stepping.ports(handlers.Worklist(stepping.pages, settings.worklist_most).find)
    intake = Intake(settings, database, outbox, site_key, stepping.followers)
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
        consumes=handlers.StepEvents(stepping.performed).rows(),
        publishes=(OrderPlaced, OrderChanged, OrderCancelled, PatientRegistered, PatientUpdated, PatientMerged),
        stores=("database",),
        tasks=(
            Task("mllp", mllp.run),
            Task("mapping", mapping.run),
            Task("outbox", outbox.relay),
            Task("retention", intake.archive.run),
            Task("couriers", couriers.run),
            Task("index", Index(database).build),
            *subscribing.tasks,
            *(Task("worklist", each.run) for each in worklists),
        ),
        routes=(
            *handlers.ArchiveRoutes(intake.archive, messages).routes(),
            *handlers.ReceiversRoutes(post.receivers, post.desk).routes(),
            *subscriptions.routes(),
            *fhir.routes(),
        ),
        checks={"database": database.check, "mllp": mllp.check, **stepping.checks(worklists)},
        starts=(lambda: database.migrate("services.hl7_fhir.migrations"),),
        stops=(intake.profiles.close, database.close),
    )
