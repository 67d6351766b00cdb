"""deid: the flow."""

from contracts.events import (
    BatchArchived,
    CopyDamaged,
    CopyRemoved,
    CopyVerified,
    InstancesQuarantined,
    PackDeidentified,
    PackPlanned,
)
from contracts.formats.keys import FileKeyEncryptionKeys
from services.deid.adapters.allocator import return_large_blocks
from services.deid.adapters.inputs import SealedCopies, StoredInputs
from services.deid.adapters.pictures import ProcessPictures
from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects
from services.deid.adapters.recognizers import load_recognizer
from services.deid.adapters.register import SqlRegister
from services.deid.adapters.tables import outbox as outbox_rows
from services.deid.adapters.work_area import StoredWorkArea
from services.deid.config import Settings
from services.deid.handlers import DeidHandlers, QuarantineHandlers
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.service import On, Service, Task
from shared.sql import Database
from shared.storage import open_store
from shared.storage.targets import load_targets, open_target


def build(settings: Settings | None = None) -> Service:
    """The service, ready to run."""
    settings = settings or Settings()
    bus = Bus(settings, "deid")
    database = Database(settings.database_url)
    outbox = Outbox(outbox_rows, database, bus)
    register = SqlRegister(database, outbox)
    sealed = SealedCopies(
        {name: open_target(target) for name, target in load_targets(settings.targets_file).items()},
        open_store(settings.keys_url),
        FileKeyEncryptionKeys(settings.kek_dir),
    )
    pictures = ProcessPictures.of(settings.devices_file, settings.pictures_memory, settings.pictures_seconds)
    handlers = DeidHandlers(
        site_key=SiteKey.load(settings.site_key_file),
        inputs=StoredInputs(open_store(settings.landing_url), register, sealed),
        projects=FileProjects(
            settings.project_key_dir,
            profiles=FileProfiles(settings.profile_dir),
            recognizer=load_recognizer(settings.recognizer),
            pictures=pictures,
        ),
        work_area=StoredWorkArea(open_store(settings.deid_url), settings.work_dir),
        register=register,
        packs_at_once=settings.packs_at_once,
    )
    return Service(
        name="deid",
        settings=settings,
        bus=bus,
        consumes=(
            On(PackPlanned, handlers.pack_planned),
            On(BatchArchived, handlers.batch_archived),
            On(CopyVerified, handlers.copy_verified),
            On(CopyDamaged, handlers.copy_damaged),
            On(CopyRemoved, handlers.copy_removed),
        ),
        routes=QuarantineHandlers(quarantine=register).routes(),
        publishes=(PackDeidentified, InstancesQuarantined),
        stores=("database", "deid"),
        tasks=(Task("outbox", outbox.relay),),
        checks={"database": database.check},
        starts=(return_large_blocks, lambda: database.migrate("services.deid.migrations")),
        stops=(pictures.stop, database.close),
    )
