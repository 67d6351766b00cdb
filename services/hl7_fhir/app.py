"""hl7_fhir: HL7 v2 messages in, FHIR R4, worklists and facts about orders, patients and studies out."""

from datetime import UTC, datetime

from contracts.events import StepReported, StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from contracts.events.clinical import CLINICAL
from services.hl7_fhir import handlers
from services.hl7_fhir.adapters.listening import mllp_server
from services.hl7_fhir.adapters.parts import Parts
from services.hl7_fhir.config import Settings
from shared.messaging.bus import Bus
from shared.service import On, Service, Task


def build(settings: Settings | None = None) -> Service:
    """The service, ready to be run."""
    settings = settings or Settings()
    bus = Bus(settings, "hl7_fhir")
    parts = Parts(settings, bus)
    intake, post, studies, stepping = parts.intake, parts.post, parts.studies, parts.stepping
    messages = handlers.Messages(intake.registry, intake.journal, intake.profiles, parts.site_key)
    mapping = handlers.Mapping(intake.waiting, intake.journal.pending, messages.one_at_a_time)
    intake.journal.on_kept(mapping.wake)
    mllp = mllp_server(settings, messages.arrived, messages.oversize)
    couriers = handlers.Couriers(
        post.receivers, post.desk, post.outgoing, lambda named: handlers.Courier(named, *post.ends(named))
    )
    on = handlers.StudyEvents(studies.journal, studies.summaries, *studies.bounds)
    steps = handlers.StepEvents(stepping.performed)
    worklists = stepping.ports(handlers.Worklist(stepping.pages, settings.worklist_most).find)
    subscriptions = handlers.Subscriptions(
        store=parts.subscribing.store,
        sockets=handlers.Sockets(parts.subscribing.sockets, parts.subscribing.bell),
        enabled=settings.fhir_subscriptions,
        endpoints=settings.fhir_subscription_endpoints,
    )
    writing = handlers.Writing(parts.writer, settings.fhir_writes)
    fhir = handlers.Fhir(parts.resources, parts.site_key, datetime.now(UTC), writing, extend=subscriptions.stated)
    return Service(
        name="hl7_fhir",
        settings=settings,
        bus=bus,
        consumes=(
            On(StudyReceived, handlers.each_of(on.received, steps.study_received)),
            On(StudyCompleted, handlers.each_of(on.completed, steps.study_completed)),
            On(StudyRevised, on.completed),
            On(StudyArchived, on.archived),
            On(StepReported, steps.step_reported),
        ),
        publishes=CLINICAL,
        stores=("database",),
        tasks=(
            Task("mllp", mllp.run),
            Task("mapping", mapping.run),
            Task("outbox", parts.outbox.relay),
            Task("retention", intake.archive.run),
            Task("forgetting", intake.forgetting.run),
            Task("refusals", intake.refusals.run),
            Task("couriers", couriers.run),
            Task("index", parts.index.build),
            Task("studies", studies.journal.catch_up),
            *(Task("steps", each.run) for each in stepping.late),
            *parts.subscribing.tasks,
            *(Task("worklist", each.run) for each in worklists),
        ),
        routes=(
            *handlers.ArchiveRoutes(intake.archive, messages).routes(),
            *handlers.ReceiversRoutes(post.receivers, post.desk).routes(),
            *handlers.MatchesOverHttp(studies.matches).routes(),
            *subscriptions.routes(),
            *fhir.routes(),
        ),
        checks={"database": parts.database.check, "mllp": mllp.check, **stepping.checks(worklists)},
        starts=(lambda: parts.database.migrate("services.hl7_fhir.migrations"), studies.journal.prepare),
        stops=(intake.profiles.close, parts.database.close),
    )
