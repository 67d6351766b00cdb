"""tier_routing: the flow."""

from contracts.events.batch import AssociationEnded, BatchArchived, BatchOverdue, BatchSecured, BatchStored
from contracts.events.clinical import OrderCancelled, OrderChanged, OrderPlaced
from contracts.events.commitment import CommitmentDecided, CommitmentRequested
from contracts.events.copy import CopyDamaged, CopyExpired, CopyFailed, CopyRemoved, CopyVerified, CopyWritten
from contracts.events.pack import InstancesQuarantined, PackDeidentified, PackPlanned, PackRecalled, PackSealed
from contracts.events.study import InstanceConflicted
from services.tier_routing.adapters.backlog import StreamBacklog
from services.tier_routing.adapters.clock import now
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.adapters.manifests import LandingManifests
from services.tier_routing.adapters.sql_ledger import SqlLedger
from services.tier_routing.adapters.tables import outbox
from services.tier_routing.adapters.targets import load_policy
from services.tier_routing.config import Settings
from services.tier_routing.handlers.events import EventHandlers
from services.tier_routing.handlers.http import HttpHandlers
from services.tier_routing.handlers.timers import Timers
from shared.http.access import log_access
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, OnDeadLetter, Service, Task
from shared.sql.database import Database
from shared.storage.opening import open_store


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    bus = Bus(settings, "tier_routing")
    database = Database(settings.database_url)
    out = Outbox(outbox, database, bus)
    policy = load_policy(settings.policy_file, settings.targets_file)
    desk = Desk(policy=policy, site_key=SiteKey.load(settings.site_key_file), outbox=out)
    ledger = SqlLedger(database=database, desk=desk)
    manifests = LandingManifests(open_store(settings.landing_url))
    on = EventHandlers(ledger=ledger, manifests=manifests, backlog=StreamBacklog(bus, "tier_routing"), clock=now)
    timers = Timers(clockwork=ledger, clock=now, pack_every=settings.pack_timer_every, sweep_every=settings.sweep_every)
    facts = (PackDeidentified, InstancesQuarantined, PackSealed, CopyWritten, CopyVerified, CopyDamaged, CopyFailed)
    orders = (OrderPlaced, OrderChanged, OrderCancelled)
    return Service(
        name="tier_routing",
        settings=settings,
        bus=bus,
        consumes=(
            On(BatchStored, on.batch_stored),
            On(CommitmentRequested, on.commitment_requested),
            *(On(event, on.heard) for event in (*facts, CopyRemoved, PackRecalled, AssociationEnded, *orders)),
            OnDeadLetter(on.dead_letter),
        ),
        publishes=(
            *(PackPlanned, BatchSecured, BatchArchived, BatchOverdue, InstanceConflicted, CopyExpired),
            CommitmentDecided,
        ),
        stores=("database",),
        tasks=(
            Task("outbox", out.relay),
            Task("pack-timer", timers.close_packs),
            Task("commitments", timers.decide_commitments),
            Task("sweep", timers.sweep),
            Task("retention", timers.end_retention),
        ),
        routes=HttpHandlers(questions=ledger, clock=now, access=log_access).routes(),
        checks={"database": database.check},
        starts=(lambda: database.migrate("services.tier_routing.migrations"),),
        stops=(database.close,),
    )
