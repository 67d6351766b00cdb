"""hl7_fhir: HL7 v2 messages in, FHIR R4 and facts about orders and patients out."""

from datetime import UTC, datetime, timedelta

from contracts.events import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
)
from services.hl7_fhir import handlers
from services.hl7_fhir.adapters.archive import SqlArchive
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.listening import mllp_server, strangers
from services.hl7_fhir.adapters.outgoing import is_awaited
from services.hl7_fhir.adapters.post import Post
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Registry, senders_file
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.adapters.waiting import SqlWaiting
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
    site_key = SiteKey.load(settings.site_key_file)
    contents = Contents(sealer := Sealer(site_key))
    outbox = Outbox(outbox_rows, database, bus)
    others = strangers(settings)
    registry = Registry(senders_file(settings.senders_file, others), others, site_key)
    post = Post(settings.receivers_file, database, contents)
    couriers = handlers.Couriers(
        post.receivers, post.desk, post.outgoing, lambda named: handlers.Courier(named, *post.ends(named))
    )
    journal = SqlJournal(database, sealer, post.outgoing)
    stepping = Stepping(settings, database, others.site, site_key)
    worklists = stepping.ports(handlers.Worklist(stepping.pages, settings.worklist_most).find)
    mapping = handlers.Mapping(SqlWaiting(database, outbox, registry, site_key, contents, stepping.followers))
    journal.on_kept(mapping.wake)
    profiles = Hl7apyProfiles()
    messages = handlers.Messages(registry=registry, journal=journal, profiles=profiles, site_key=site_key)
    archive = SqlArchive(database, contents, timedelta(days=settings.hl7_keep_days), still_needed=[is_awaited()])
    mllp = mllp_server(settings, messages.arrived, messages.oversize)
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
            Task("retention", archive.run),
            Task("couriers", couriers.run),
            *(Task("worklist", each.run) for each in worklists),
        ),
        routes=(
            *handlers.ArchiveRoutes(archive, messages).routes(),
            *handlers.ReceiversRoutes(post.receivers, post.desk).routes(),
            *handlers.Fhir(SqlResources(database), datetime.now(UTC)).routes(),
        ),
        checks={"database": database.check, "mllp": mllp.check, **stepping.checks(worklists)},
        starts=(lambda: database.migrate("services.hl7_fhir.migrations"),),
        stops=(profiles.close, database.close),
    )
