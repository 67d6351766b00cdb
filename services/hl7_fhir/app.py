"""hl7_fhir: HL7 v2 messages in, FHIR R4 and facts about orders and patients out."""

from datetime import UTC, datetime

from contracts.events import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
    StepReported,
)
from contracts.events.study import StudyCompleted, StudyReceived
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.mllp import Limits, MllpServer
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.decision import Reader
from services.hl7_fhir.domain.record import Site
from services.hl7_fhir.handlers import Fhir, Messages, StepEvents, Worklist
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
    stepping = Stepping(settings, database, site, site_key)
    worklists = stepping.ports(Worklist(stepping.pages, settings.worklist_most).find)
    steps = StepEvents(stepping.performed)
    messages = Messages(
        reader=Reader(site, site_key, settings.hl7_charset),
        journal=SqlJournal(database, outbox, site, site_key, followers=stepping.followers),
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
            On(StepReported, steps.step_reported),
            On(StudyReceived, steps.study_received),
            On(StudyCompleted, steps.study_completed),
        ),
        publishes=(OrderPlaced, OrderChanged, OrderCancelled, PatientRegistered, PatientUpdated, PatientMerged),
        stores=("database",),
        tasks=(Task("mllp", mllp.run), Task("outbox", outbox.relay), *(Task("worklist", one.run) for one in worklists)),
        routes=Fhir(SqlResources(database), datetime.now(UTC)).routes(),
        checks={"database": database.check, "mllp": mllp.check, **stepping.checks(worklists)},
        starts=(lambda: database.migrate("services.hl7_fhir.migrations"),),
        stops=(database.close,),
    )
