"""Everything that keeps messages and maps them, as the settings describe it."""

from collections.abc import Sequence
from datetime import timedelta

from services.hl7_fhir.adapters.archive import SqlArchive
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.effects import Outbox
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.forgetting import Ages, Forgetting
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.listening import strangers
from services.hl7_fhir.adapters.outgoing import is_awaited
from services.hl7_fhir.adapters.post import Post
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.refusals import Limits, Refusals
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Registry, senders_file
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.config import Settings
from shared.identity import SiteKey
from shared.sql import Database


class Intake:
    """The registry of senders, the journal, what waits, and the archive."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        outbox: Outbox,
        site_key: SiteKey,
        post: Post,
        followers: Sequence[Follower] = (),
    ) -> None:
        sealer, others = Sealer(site_key), strangers(settings)
        contents = Contents(sealer)
        keep = timedelta(days=settings.hl7_keep_days)
        self.registry = Registry(senders_file(settings.senders_file, others), others, site_key)
        self.profiles = Hl7apyProfiles()
        self.journal = SqlJournal(database, sealer, post.outgoing)
        self.waiting = SqlWaiting(database, outbox, self.registry, site_key, contents, followers)
        needed = (is_awaited(),)
        self.archive = SqlArchive(database, contents, keep, still_needed=needed)
        versions = timedelta(days=settings.fhir_versions_days) if settings.fhir_versions_days else None
        self.forgetting = Forgetting(database, Ages(settings.forget, versions), still_needed=needed)
        limits = Limits(settings.hl7_refused_each, settings.hl7_refused_together)
        self.refusals = Refusals(database, limits, still_needed=needed)
        self.journal.on_refused(self.refusals.refused)
