"""encryption: the flow."""

from contracts.events import BatchArchived, KeyDestroyed, PackDeidentified, PackPlanned, PackRecalled, PackSealed
from contracts.formats.keys import FileKeyEncryptionKeys
from services.encryption.adapters.buffer import SealingBuffer
from services.encryption.adapters.copies import CopiedInputs, ResolvedInputs, target_places
from services.encryption.adapters.inputs import StoredInputs
from services.encryption.adapters.keys import StoredStudyKeys
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
    key_records, keys = open_store(settings.keys_url), FileKeyEncryptionKeys(settings.kek_dir)
    site_key = SiteKey.load(settings.site_key_file)
    copied = CopiedInputs(
        site_key=site_key,
        buffer=buffer,
        targets=target_places(settings.targets_file),
        key_records=key_records,
        keys=keys,
    )
    stored = StoredInputs({"landing": open_store(settings.landing_url), "deid": open_store(settings.deid_url)})
    study_keys = StoredStudyKeys(key_records, keys)
    handlers = SealHandlers(
        site_key=site_key,
        inputs=ResolvedInputs(stored=stored, copied=copied),
        buffer=buffer,
        sealing=Sealer(buffer=buffer, study_keys=study_keys),
        study_keys=study_keys,
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
            On(PackRecalled, handlers.pack_recalled),
        ),
        publishes=(PackSealed, KeyDestroyed),
        stores=("sealed", "keys"),
    )
