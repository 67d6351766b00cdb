"""dicom_ingest: the flow."""

import time

from contracts.events import AssociationEnded, BatchArchived, BatchOverdue, BatchStored, StepReported
from contracts.events.commitment import CommitmentDecided, CommitmentRequested
from services.dicom_ingest.adapters import rules
from services.dicom_ingest.adapters.archives import Archives
from services.dicom_ingest.adapters.commitment_calls import reach
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.describers import Describers
from services.dicom_ingest.adapters.farewells import FarewellFiles
from services.dicom_ingest.adapters.listener import Listener
from services.dicom_ingest.adapters.outbox import Outbox
from services.dicom_ingest.adapters.receivers import receiver
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.stow import part_reader, stow_rules
from services.dicom_ingest.config import Settings
from services.dicom_ingest.handlers.commitment_desk import CommitmentDesk
from services.dicom_ingest.handlers.landed import Landed
from services.dicom_ingest.handlers.landing import Landing
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.handlers.status import StatusHandlers
from services.dicom_ingest.handlers.steps import Steps
from services.dicom_ingest.handlers.stow import StowHandlers
from shared.allocator import return_large_blocks
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.service import On, Service, Task
from shared.storage import open_store


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    site_key, bus = SiteKey.load(settings.site_key_file), Bus(settings, "dicom_ingest")
    crash, store = CrashPoints(settings.crash_at), open_store(settings.landing_url)
    spool = Spool(settings.spool_dir, rules.batch_rules(settings), crash, time.monotonic)
    describers = Describers(rules.describer_rules(settings))
    landing = Landing(
        store=store,
        put_file=Archives(store).put,
        bus=bus,
        site_key=site_key,
        describer=describers,
        scratch=spool.directory,
        passed=crash.passed,
    )
    outbox = Outbox(spool=spool, land=landing.land, crash=crash, workers=settings.landing_workers)
    farewells = FarewellFiles(spool.directory, landing.association_ended)
    landed, room = Landed(store=store, bus=bus, site_key=site_key), rules.disk_room(settings, outbox)
    reception = Reception(spool=spool, room=room, farewells=farewells, site_key=site_key, largest=settings.largest)
    steps = Steps(*rules.step_reports(settings), store=store, bus=bus, site_key=site_key)
    desk = CommitmentDesk(reception=reception, bus=bus, reach=reach(settings, site_key), site_key=site_key, steps=steps)
    attend, associations = receiver(settings, spool.directory, room), rules.association_rules(settings)
    listener = Listener(rules.listener_rules(settings), associations, desk, attend)
    door, decided = rules.http_door(associations), On(CommitmentDecided, desk.decided)
    stow = StowHandlers(reception=reception, rules=stow_rules(settings), read_parts=part_reader(settings), senders=door)
    status = StatusHandlers(batches=spool.count_files, waiting_bytes=outbox.waiting, storage=settings.spool_storage)
    return Service(
        name="dicom_ingest",
        settings=settings,
        bus=bus,
        consumes=(On(BatchArchived, landed.batch_archived), On(BatchOverdue, landed.batch_overdue), decided),
        publishes=(BatchStored, AssociationEnded, CommitmentRequested, StepReported),
        stores=("spool", "landing"),
        starts=(return_large_blocks, spool.open, outbox.adopt),
        tasks=(
            Task("dicom", listener.run),
            Task("stow", stow.run),
            Task("closing", outbox.run_closing),
            Task("landing", outbox.run_landing),
            Task("farewells", farewells.run),
            Task("commitments", desk.run),
            Task("steps", steps.run),
        ),
        routes=(*stow.routes(), *status.routes()),
        checks={"spool": spool.check, "disk": room.ready, "dicom": listener.ready},
        stops=(outbox.stop, describers.close),
    )
