"""Everything that relates pseudonyms to people, put together."""

from functools import cache

from contracts.formats.keys import KeyEncryptionKeys
from services.deid.adapters.identity_map import SqlIdentityMap
from services.deid.adapters.journal import Journal
from services.deid.adapters.map_keys import MapKeys
from services.deid.adapters.merged import SqlMerges
from services.deid.adapters.people import SqlPeople
from services.deid.adapters.projects import FileProjects, ProjectSecrets
from services.deid.config import Settings
from shared.identity import SiteKey
from shared.sql import Database
from shared.storage import BlobStore


class Identities:
    """The map, its journal, the merges and the projects that use them; keys and journal stay on site."""

    def __init__(
        self, settings: Settings, database: Database, journal: BlobStore, keks: KeyEncryptionKeys, site_key: SiteKey
    ) -> None:
        secrets = ProjectSecrets(settings.project_key_dir)

        @cache
        def secret(project: str) -> SiteKey:
            return SiteKey(secrets.of(project)) if project else site_key

        self.keys = MapKeys(keks, secret)
        self.journal = Journal(database, journal, self.keys)
        self.map = SqlIdentityMap(database, self.keys, self.journal, secret)
        self.merges = SqlMerges(database, self.journal)
        self.projects = FileProjects(
            settings.project_key_dir, lambda project: SqlPeople(database, project, self.journal)
        )
