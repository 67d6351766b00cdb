"""Everything that relates pseudonyms to people, put together."""

from functools import cache

from contracts.formats.keys import KeyEncryptionKeys
from services.deid.adapters.identity_map import SqlIdentityMap
from services.deid.adapters.journal import Journal
from services.deid.adapters.map_keys import MapKeys
from services.deid.adapters.merged import SqlMerges
from services.deid.adapters.people import SqlPeople
from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects, ProjectSecrets
from services.deid.adapters.recognizers import load_recognizer
from services.deid.config import Settings
from services.deid.domain.pictures.retouch import Pictures
from shared.identity import SiteKey
from shared.sql import Database
from shared.storage import BlobStore


class Identities:
    """The map, its journal, the merges and the projects that use them; keys and journal stay on site."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        journal: BlobStore,
        keks: KeyEncryptionKeys,
        site_key: SiteKey,
        pictures: Pictures | None = None,
    ) -> None:
        secrets = ProjectSecrets(settings.project_key_dir)

        @cache
        def secret(project: str) -> SiteKey:
            return SiteKey(secrets.of(project)) if project else site_key

        self.keys = MapKeys(keks, secret)
        self.journal = Journal(database, journal, self.keys)
        self.map = SqlIdentityMap(database, self.keys, self.journal, secret)
        self.merges = SqlMerges(database, self.journal, self.keys)
        self.projects = FileProjects(
            settings.project_key_dir,
            profiles=FileProfiles(settings.profile_dir),
            recognizer=load_recognizer(settings.recognizer),
            pictures=pictures,
            people=lambda project: SqlPeople(database, project, self.journal),
        )
