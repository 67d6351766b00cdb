"""What destinations need from outside, from the settings."""

from contracts.formats.keys import FileKeyEncryptionKeys
from services.forwarding.adapters.archives import ArchivedBatches
from services.forwarding.adapters.decoders import Bounds
from services.forwarding.adapters.destinations import open_sender
from services.forwarding.adapters.documents import StoredDocuments
from services.forwarding.adapters.inputs import SealedCopies, StoredInputs
from services.forwarding.adapters.ledger import DestinationLedger
from services.forwarding.adapters.notice_ledger import SqlNotices
from services.forwarding.adapters.notifier import NoticeSender
from services.forwarding.config import Settings
from services.forwarding.domain.destinations import Destination
from services.forwarding.ports.destination import Sender
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox
from shared.sql import Database
from shared.storage import open_store
from shared.storage.targets import load_targets, open_target


class Stores:
    """Stores, keys and the database; what is read and written there."""

    def __init__(self, settings: Settings, database: Database, outbox: Outbox, site_key: SiteKey) -> None:
        self.site_key = site_key
        self._database, self._outbox = database, outbox
        self._bounds = Bounds(memory=settings.decompress_memory, seconds=settings.decompress_seconds)
        self.archives = ArchivedBatches(database)
        landing = open_store(settings.landing_url)
        self.inputs = StoredInputs(landing, self.archives, _sealed(settings, site_key))
        self.documents = StoredDocuments({"landing": landing, "summaries": open_store(settings.summaries_url)})

    def sender(self, destination: Destination) -> Sender:
        """What sends instances there."""
        return open_sender(destination, self._bounds)

    def notifier(self, destination: Destination) -> NoticeSender:
        """What sends notices there."""
        return NoticeSender(destination)

    def instances(self, name: str) -> DestinationLedger:
        """What became of instances there."""
        return DestinationLedger(name, self._database, self._outbox, self.site_key)

    def notices(self, name: str) -> SqlNotices:
        """What became of notices there."""
        return SqlNotices(name, self._database)


def _sealed(settings: Settings, site_key: SiteKey) -> SealedCopies:
    # A folder is nearer than a cloud, and there when clouds are not.
    near = sorted(load_targets(settings.targets_file).items(), key=lambda named: named[1].kind != "filesystem")
    targets = {name: open_target(target) for name, target in near}
    return SealedCopies(site_key, targets, open_store(settings.keys_url), FileKeyEncryptionKeys(settings.kek_dir))
