"""encryption: the flow."""

from contracts.events import BatchArchived, PackDeidentified, PackPlanned, PackSealed
from services.encryption.adapters.buffer import SealingBuffer
from services.encryption.adapters.inputs import StoredInputs
from services.encryption.adapters.keys import DomainKeys, StoredStudyKeys
from services.encryption.adapters.sealer import Sealer
from services.encryption.config import Settings
from services.encryption.handlers import SealHandlers
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.service import On, Service
from shared.storage import open_store


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    bus = Bus(settings, "encryption")
    buffer = SealingBuffer(open_store(settings.sealed_url))
    study_keys = StoredStudyKeys(open_store(settings.keys_url), DomainKeys(settings.kek_dir))
    stores = {"landing": open_store(settings.landing_url), "deid": open_store(settings.deid_url)}
    handlers = SealHandlers(
        site_key=SiteKey.load(settings.site_key_file),
        inputs=StoredInputs(stores),
        buffer=buffer,
        sealing=Sealer(buffer=buffer, study_keys=study_keys),
        bus=bus,
        packs_at_once=settings.packs_at_once,
    )
    return Service(
        name="encryption",
        settings=settings,
        bus=bus,
        consumes=(
            On(PackPlanned, handlers.pack_planned),
            On(PackDeidentified, handlers.pack_deidentified),
            On(BatchArchived, handlers.batch_archived),
        ),
        publishes=(PackSealed,),
    )
