"""All the parts of the service, as the settings describe them."""

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.indexing import Index
from services.hl7_fhir.adapters.intake import Intake
from services.hl7_fhir.adapters.listening import strangers
from services.hl7_fhir.adapters.post import Post
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.study_desk import StudyDesk
from services.hl7_fhir.adapters.subscribing import Subscribing
from services.hl7_fhir.adapters.tables import outbox as outbox_rows
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.config import Settings
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.sql import Database


class Parts:
    """What handlers are given: they share a database, an outbox and the site key."""

    def __init__(self, settings: Settings, bus: Bus) -> None:
        self.database = Database(settings.database_url)
        self.site_key = SiteKey.load(settings.site_key_file)
        self.outbox = Outbox(outbox_rows, self.database, bus)
        shared = (self.database, self.outbox, strangers(settings).site, self.site_key)
        contents = Contents(Sealer(self.site_key))
        self.post = Post(settings.receivers_file, self.database, contents, self.site_key, settings.zone)
        self.studies = StudyDesk(settings, *shared, self.post.tells)
        self.stepping = Stepping(settings, self.database, shared[2], self.site_key, self.post.tells)
        followers = (self.studies.follower, *self.stepping.followers)
        self.intake = Intake(settings, self.database, self.outbox, self.site_key, self.post, followers)
        self.subscribing = Subscribing(settings, self.database, self.site_key)
        self.resources = SqlResources(self.database)
        self.writer = SqlWriter(self.database)
        self.index = Index(self.database)
