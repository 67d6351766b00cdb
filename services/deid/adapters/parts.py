"""The adapters of de-identification, put together."""

from contracts.formats.keys import FileKeyEncryptionKeys
from services.deid.adapters.identities import Identities
from services.deid.adapters.inputs import SealedCopies, StoredInputs
from services.deid.adapters.pictures import ProcessPictures
from services.deid.adapters.quarantine import SqlQuarantine
from services.deid.adapters.recalls import SqlRecalls
from services.deid.adapters.register import SqlRegister
from services.deid.adapters.rendering import RenderedPictures
from services.deid.adapters.tables import outbox
from services.deid.adapters.work_area import StoredWorkArea
from services.deid.config import Settings
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.sql import Database
from shared.storage import open_store


class Parts:
    """Each made once, from ``settings``."""

    def __init__(self, settings: Settings, bus: Bus) -> None:
        self.site_key = SiteKey.load(settings.site_key_file)
        self.database = Database(settings.database_url)
        self.outbox = Outbox(outbox, self.database, bus)
        store, keks = open_store(settings.deid_url), FileKeyEncryptionKeys(settings.kek_dir)
        self.work_area = StoredWorkArea(store, settings.work_dir)
        memory, seconds = settings.pictures_memory, settings.pictures_seconds
        self.pictures = ProcessPictures.of(settings.devices_file, memory, seconds)
        self.identities = Identities(settings, self.database, store, keks, self.site_key, self.pictures)
        self.register = SqlRegister(self.database, self.outbox, self.identities.map)
        self.quarantine = SqlQuarantine(self.database, self.outbox, self.identities.map)
        self.rendering = RenderedPictures(self.pictures)
        self.recalls = SqlRecalls(
            self.database, self.outbox, self.identities.journal, self.identities.keys, self.site_key
        )
        sealed = SealedCopies.of(settings.targets_file, open_store(settings.keys_url), keks)
        self.inputs = StoredInputs(open_store(settings.landing_url), self.register, sealed)
