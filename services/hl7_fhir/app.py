"""hl7_fhir: HL7 v2 messages in, FHIR R4 and facts about orders and patients out."""

from datetime import UTC, datetime

from contracts.events import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientRegistered,
    PatientUpdated,
    StudyMatched,
)
from contracts.events.study import StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.mllp import Limits, MllpServer
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.study_desk import StudyDesk
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.decision import Reader
from services.hl7_fhir.domain.record import Site
from services.hl7_fhir.handlers import Fhir, MatchesOverHttp, Messages, StudyEvents
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
    site = Site(
        zone=settings.zone,
        patient_issuer=settings.patient_issuer,
        order_issuer=settings.order_issuer,
        accession_fields=settings.accession_fields,
    )
    desk = StudyDesk(settings, database, outbox, site, site_key)
    bounds = (settings.zone, settings.imaging_study_instances, settings.summary_limit)
    on = StudyEvents(desk.journal, desk.summaries, *bounds)
    messages = Messages(
        reader=Reader(site, site_key, settings.hl7_charset),
        journal=SqlJournal(database, outbox, site, site_key, followers=(desk.follower,)),
        site_key=site_key,
    )
    mllp = MllpServer(
        host=settings.mllp_host,
        port=settings.mllp_port,
        answer=messages.arrived,
        refuse=messages.oversize,
        limits=Limits(
            connections=settings.mllp_connections,
            idle=settings.mllp_idle_timeout,
            message=settings.mllp_message_timeout,
        ),
    )
    return Service(
        name="hl7_fhir",
        settings=settings,
        bus=bus,
        consumes=(
            On(StudyReceived, on.received),
            *(On(event, on.completed) for event in (StudyCompleted, StudyRevised)),
            On(StudyArchived, on.archived),
        ),
        publishes=(OrderPlaced, OrderChanged, OrderCancelled, PatientRegistered, PatientUpdated, StudyMatched),
        stores=("database",),
        tasks=(Task("mllp", mllp.run), Task("outbox", outbox.relay)),
        routes=Fhir(SqlResources(database), datetime.now(UTC)).routes() + MatchesOverHttp(desk.matches).routes(),
        checks={"database": database.check, "mllp": mllp.check},
        starts=(lambda: database.migrate("services.hl7_fhir.migrations"), desk.journal.prepare),
        stops=(database.close,),
    )
