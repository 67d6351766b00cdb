"""replication: the flow, once for each target."""

import asyncio

from contracts.events import CopyDamaged, CopyExpired, CopyFailed, CopyRemoved, CopyWritten, KeyDestroyed, PackSealed
from services.replication.adapters.budget import Budget, SharedBudget
from services.replication.adapters.copies import Limits, TargetCopies
from services.replication.adapters.sources import Place, Sources
from services.replication.config import Settings
from services.replication.handlers import CopyHandlers
from shared.breaker import Breaker
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.service import On, Service
from shared.storage import StoreUnavailable, open_store
from shared.storage.targets import load_targets, open_key_bucket, open_target


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    site_key, bus = SiteKey.load(settings.site_key_file), Bus(settings, "replication")
    targets = load_targets(settings.targets_file)
    key_records, in_flight = open_store(settings.keys_url), SharedBudget(settings.bytes_in_flight)
    places = {name: Place(open_target(each), open_key_bucket(each), each.forms) for name, each in targets.items()}
    sources = Sources(site_key, open_store(settings.sealed_url), places)

    names = settings.replication_targets or tuple(targets)

    def copies_in(name: str) -> TargetCopies:
        parts, own = asyncio.Semaphore(settings.parts_at_once), Budget(settings.target_bytes_in_flight)
        return TargetCopies(
            site_key=site_key,
            tiers={tier: open_target(targets[name], tier) for tier in targets[name].tiers},
            key_bucket=open_key_bucket(targets[name]),
            key_records=key_records,
            sources=sources,
            limits=Limits(name, parts, own, in_flight),
        )

    def circuit(name: str) -> Breaker:
        pauses = {"first": settings.breaker_first, "longest": settings.breaker_longest}
        return Breaker(target=name, away=StoreUnavailable, probe=copies[name].probe, **pauses)

    def routes(name: str) -> tuple[On, ...]:
        on = CopyHandlers(
            target=name,
            forms=targets[name].forms,
            site_key=site_key,
            copies=copies[name],
            circuit=circuits[name],
            bus=bus,
        )
        return (
            On(PackSealed, on.pack_sealed, target=name, at_once=settings.packs_at_once),
            On(CopyDamaged, on.copy_damaged, target=name, at_once=1),
            On(CopyExpired, on.copy_expired, target=name, at_once=1),
            On(KeyDestroyed, on.key_destroyed, target=name, at_once=1),
        )

    copies = {name: copies_in(name) for name in names}
    circuits = {name: circuit(name) for name in names}
    return Service(
        name="replication",
        settings=settings,
        bus=bus,
        consumes=tuple(row for name in names for row in routes(name)),
        publishes=(CopyWritten, CopyFailed, CopyRemoved),
        stores=("targets",),
        interrupts=tuple(each.interrupt for each in circuits.values()),
    )
