"""What studies need from outside, from the settings."""

from services.hl7_fhir.adapters.documents import StoredSummaries
from services.hl7_fhir.adapters.effects import Outbox
from services.hl7_fhir.adapters.matches import SqlMatches
from services.hl7_fhir.adapters.studies import SqlStudies, Studies
from services.hl7_fhir.adapters.tells import Tells
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.clinical.record import Site
from shared.identity import SiteKey
from shared.sql import Database
from shared.storage import open_store


class StudyDesk:
    """Studies, the work list of those that nothing ties, and the documents that tell of them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        outbox: Outbox,
        site: Site,
        site_key: SiteKey,
        tells: Tells | None = None,
    ) -> None:
        self.follower = Studies(outbox, site_key, settings.dicomweb_url, tells)
        self.journal = SqlStudies(database, self.follower, site, site_key)
        self.matches = SqlMatches(database, self.follower, site_key)
        self.bounds = (settings.zone, settings.imaging_study_instances, settings.summary_limit)
        self.summaries = StoredSummaries(open_store(settings.summaries_url))
