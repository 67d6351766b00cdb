"""A site on a real bus with de-identification and the services that seal, write and prove what it makes."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from sqlalchemy import create_engine, text

from cli.replay import replay
from contracts.events import Batch, BatchArchived, Blob, CopyVerified, PackDeidentified, PackPlanned, ProvenCopy
from contracts.formats.keys import FileKeyEncryptionKeys
from contracts.formats.manifest import Manifest, Routing, read_manifest
from contracts.streams import documents
from services.deid import app
from services.deid.adapters.identities import Identities
from services.deid.adapters.projects import FileProjects
from services.deid.config import Settings
from services.deid.domain.packing import Original, clean_pack, pack_id_of
from services.deid.domain.workspace import Workspace
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.service import Service
from shared.sql import Database
from shared.storage import FilesystemStore, read_parts
from tests.integration.copies.site import Site
from tests.support.instances import CANARY, as_file, make_instances
from tests.support.nats import NatsServer
from tests.support.packs import copies, store_batch
from tests.unit.deid.originals import describe

SERVICES = ("deid", "encryption", "replication", "verification")
PLAN = (*copies("onsite"), *copies("onsite", form="deidentified", domain="research"))


class DeidSite(Site):
    """The same site with de-identification, and a second target."""

    services = SERVICES

    def __init__(self, folder: Path, server: NatsServer) -> None:
        self.folder = folder
        super().__init__(folder, server, {"remote": self.folder_target("remote")})
        self.deid = FilesystemStore(folder / "deid")

    def service(self, name: str, **others: Any) -> Service:
        if name != "deid":
            return super().service(name, **others)
        return app.build(Settings.model_validate(self.values(name, **others)))

    def values(self, name: str, **others: Any) -> dict[str, Any]:
        folders = {"project_key_dir": self.folder / "projects", "work_dir": self.folder / "work"}
        return super().values(name, **(folders if name == "deid" else {}), **others)

    async def batch_of(self, slices: list[Dataset], issuer: str | None = None) -> Batch:
        """A landing batch; with the match tokens of ``issuer``'s patients, where there is one."""
        key = SiteKey.load(self.folder / "site.key")
        found = []
        for slice_ in slices:
            file = as_file(slice_)
            token = None if issuer is None else key.patient_token(issuer, slice_.PatientID)
            found.append((file, describe(file).model_copy(update={"routing": Routing(patient_token=token)})))
        return await store_batch(self.landing, found)

    async def content(self, blob: Blob) -> bytes:
        return b"".join([chunk async for chunk in read_parts(self.deid, blob.key, blob.size)])

    async def manifest(self, event: PackDeidentified) -> Manifest:
        return read_manifest([await self.content(event.manifest)])

    async def idle(self) -> bool:
        """Whether de-identification has nothing left to do."""
        async with self.server.jetstream() as jetstream:
            infos = await jetstream.consumers_info("IMAGING")
        mine = [info for info in infos if info.name.startswith("deid_")]
        return all(info.num_pending == 0 and info.num_ack_pending == 0 for info in mine)

    def expected(self, slices: list[Dataset]) -> str:
        """The manifest's digest of the pack that comes of these, when they are read as they were received."""
        project = FileProjects(self.folder / "projects").open("research")
        files = [as_file(slice_) for slice_ in slices]
        originals = [Original(describe(file), (lambda file=file: [file],)) for file in files]
        return clean_pack(pack_id_of("pack", project), originals, project, Workspace.of(BytesIO)).manifest_sha256

    def forget_rules(self) -> None:
        """Make it so that what is recorded was made under other rules: the same work does not come to it any more."""
        with create_engine(f"sqlite:///{self.folder / 'deid.db'}").begin() as connection:
            ((document,),) = connection.execute(text("SELECT document FROM result"))
            other = json.loads(document) | {"manifest_sha256": "0" * 64}
            connection.execute(text("UPDATE result SET document = :other"), {"other": json.dumps(other)})

    def keep_report_as_before(self) -> None:
        """Make it so that an earlier version wrote down where the report lies."""
        with create_engine(f"sqlite:///{self.folder / 'deid.db'}").begin() as connection:
            ((document,),) = connection.execute(text("SELECT document FROM result"))
            kept = json.loads(document)
            kept["outputs"]["report"] = kept.pop("report")
            connection.execute(text("UPDATE result SET document = :kept"), {"kept": json.dumps(kept)})

    def age(self, days: int) -> None:
        """Make it so that everything was withheld as many days earlier."""
        self.run(f"UPDATE withheld SET since = since - {days * 86400}")

    def run(self, statement: str) -> None:
        """Change what the service keeps."""
        with create_engine(f"sqlite:///{self.folder / 'deid.db'}").begin() as connection:
            connection.execute(text(statement))

    async def replay(self) -> None:
        """Let de-identification have every message again."""
        async with self.server.jetstream() as jetstream:
            await replay(jetstream, read_plan(*documents()), {"target": list(self.targets)}, "deid", 1)

    def database(self) -> Database:
        """The service's own, for a look into it."""
        return Database(f"sqlite:///{self.folder / 'deid.db'}")

    def identities(self, database: Database) -> Identities:
        """What relates pseudonyms to people, with this site's keys."""
        settings = Settings.model_validate(self.values("deid"))
        keks = FileKeyEncryptionKeys(settings.kek_dir)
        return Identities(settings, database, self.deid, keks, SiteKey.load(settings.site_key_file))

    def rows(self, query: str) -> list[Any]:
        with create_engine(f"sqlite:///{self.folder / 'deid.db'}").connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


def identities_on(database: Database, folder: Path, site_key: SiteKey | None = None) -> Identities:
    """What relates pseudonyms to people on any database, with keys and journal in ``folder``."""
    settings = Settings(project_key_dir=folder / "projects")
    keks = FileKeyEncryptionKeys(folder / "kek")
    return Identities(settings, database, FilesystemStore(folder / "deid"), keks, site_key or SiteKey(bytes(32)))


def study(count: int = 3, screenshots: int = 1) -> list[Dataset]:
    """Slices and screenshots of one study of a patient who must not be seen."""
    slices = make_instances(count, canary=CANARY)
    uids = {"study_uid": slices[0].StudyInstanceUID}
    kind = {"SOPClassUID": SecondaryCaptureImageStorage}
    return slices + make_instances(screenshots, canary=CANARY, **uids, **kind)


def archived(event: PackPlanned, proven: list[CopyVerified]) -> BatchArchived:
    """What the ledger says in the end."""
    return BatchArchived(
        batch_id=event.batches[0].batch_id,
        study_uid=event.study_uid,
        study_ref=event.study_ref,
        pack_ids=(event.pack_id,),
        sealed_ids=tuple(one.copy_key.sealed_id for one in proven),
        copies=tuple(
            ProvenCopy(
                sealed_id=one.copy_key.sealed_id,
                pack_id=one.copy_key.pack_id,
                form=one.copy_key.form,
                target=one.copy_key.target,
                generation=one.copy_key.generation,
                proven=one.proven,
            )
            for one in proven
        ),
        withheld=1,
    )
