"""A recall where nobody can delete: a real S3 target with Object Lock."""

import asyncio
from pathlib import Path

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from contracts.events import BatchArchived, CopyAbsent, CopyVerified, KeyDestroyed, PackSealed
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord
from shared.storage import BlobMissing
from shared.storage.administration import client, ensure_bucket
from shared.storage.targets import Target, load_targets, open_key_bucket, open_target
from tests.integration.deid.recall_site import OTHERS, RecallSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.support.seaweed import Seaweed
from tests.support.services import eventually

BUCKET = "recall-locked"


class LockedSite(RecallSite):
    """A site whose other target locks every object for a day."""

    def __init__(self, folder: Path, server: NatsServer, cloud: Seaweed) -> None:
        super().__init__(
            folder, server,
            {
                "kind": "s3", "endpoint": cloud.endpoint, "bucket": BUCKET, "region": "us-east-1", "lock_days": 1,
                "credentials_env": "RECALL", "jurisdiction": "de", "forms": ["deidentified"],
            },
        )  # fmt: skip

    @property
    def target(self) -> Target:
        return load_targets(self.folder / "targets.yaml")["remote"]

    @property
    def cloud(self) -> Minio:
        return client(self.target)

    async def versions(self, bucket: str | None) -> dict[str, str]:
        """Every object that is kept in a bucket, whatever stands in front of it, by its key: the version."""
        listed = await asyncio.to_thread(
            lambda: list(self.cloud.list_objects(f"{bucket}", recursive=True, include_version=True))
        )
        return {f"{one.object_name}": f"{one.version_id}" for one in listed if not one.is_delete_marker}

    async def keys(self) -> dict[str, str]:
        """The study keys that are kept beside the copies, in any version."""
        kept = await self.versions(self.target.key_bucket)
        return {key: version for key, version in kept.items() if key.startswith("study-keys/")}

    async def content(self, key: str, version: str) -> bytes:
        """The bytes of a version, as whoever has the bucket can read them."""
        return await asyncio.to_thread(lambda: self.cloud.get_object(BUCKET, key, version_id=version).read())

    async def out(self) -> list[CopyVerified]:
        """A study goes out, and is proven."""
        await self.stored(make_instances(2))
        proven = await self.until(CopyVerified, lambda found: len(found) == 3)
        await eventually(self.idle)
        return [one for one in proven if one.copy_key.target == "remote"]


@pytest.fixture
async def locked(
    tmp_path: Path, nats_server: NatsServer, own_seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> LockedSite:
    """Its buckets made as the provisioner makes them."""
    monkeypatch.setenv("RECALL_ACCESS_KEY", own_seaweed.credentials.access)
    monkeypatch.setenv("RECALL_SECRET_KEY", own_seaweed.credentials.secret)
    site = LockedSite(tmp_path, nats_server, own_seaweed)
    await ensure_bucket(site.target)
    return site


async def test_what_a_lock_keeps_is_shredded_with_its_key_and_goes_out_again_under_another(locked: LockedSite) -> None:
    """The objects are there to the last byte, nobody can delete them, and the key that they need is nowhere."""
    site = locked
    async with site.running(*OTHERS):
        async with site.running("deid", profile_dir=site.profile("1")):
            (first,) = await site.out()
            await site.until(BatchArchived, lambda found: len(found) == 1)
            before = await site.versions(BUCKET)
            held = {key: await site.content(key, version) for key, version in before.items()}
            (record,) = await site.keys()
            assert await _opens(site, record)
        async with site.running("deid", profile_dir=site.profile("2")):
            assert (await site.recall()).status_code == 202
            await site.in_state("released")
            absent = {one.copy_key.target: one.level for one in await site.said(CopyAbsent)}
            (told,) = await site.recalls()
            again = [one for one in await site.said(PackSealed) if one.sealed.form == "deidentified"][-1].sealed
            (destroyed,) = {one.study_key for one in await site.said(KeyDestroyed)}
            after, keys = await site.versions(BUCKET), await site.keys()
    assert absent == {"onsite": "removed", "remote": "shredded"}
    assert (told["copies"], told["absent"], told["shredded"], told["released"]) == (2, 2, 1, 1)
    # The lock holds: what lay there lies there, hidden from whoever asks for it by its name alone.
    assert set(first.copy_key.keys) <= before.keys() and before.items() <= after.items()
    assert {key: await site.content(key, after[key]) for key in before} == held
    for key in first.copy_key.keys:
        with pytest.raises(BlobMissing):
            await open_target(site.target).get(key)
        with pytest.raises(S3Error, match="AccessDenied"):
            await asyncio.to_thread(site.cloud.remove_object, BUCKET, key, before[key])
    # Their key is neither in the target, in any version, nor on site; the one that is there is of the next release.
    assert record not in keys and len(keys) == 1 and again.study_key.key != destroyed
    assert record.startswith(destroyed) and next(iter(keys)).startswith(again.study_key.key)
    assert not list((site.folder / "keys" / destroyed).glob("*"))
    assert await site.dead_letters() == 0


async def _opens(site: LockedSite, record: str) -> bool:
    """Whether the study key in the target can be opened with the site's key-encryption keys."""
    kept = StudyKeyRecord.parse(await open_key_bucket(site.target).get(record))
    return len(kept.open(FileKeyEncryptionKeys(site.folder / "kek"))) == 32


async def test_a_key_that_its_bucket_still_keeps_a_version_of_is_not_destroyed(locked: LockedSite) -> None:
    """Somebody switched versions on: the key is only hidden, and nothing is proven before it is gone for good."""
    site = locked
    bucket = f"{site.target.key_bucket}"
    await asyncio.to_thread(site.cloud.set_bucket_versioning, bucket, VersioningConfig(ENABLED))
    async with site.running(*OTHERS), site.running("deid", profile_dir=site.profile("1")):
        await site.out()
        (record,) = await site.keys()
        assert (await site.recall()).status_code == 202

        async def hidden() -> bool:
            return [one.copy_key.target for one in await site.said(CopyAbsent)] == ["onsite"]

        await eventually(hidden, 60)
        with pytest.raises(BlobMissing):
            await open_key_bucket(site.target).get(record)
        await asyncio.sleep(3)
        assert {one["state"] for one in await site.recalls()} == {"withdrawing"}
        ((key, version),) = (await site.keys()).items()
        await asyncio.to_thread(site.cloud.remove_object, bucket, key, version)
        await site.in_state("withdrawn")
        absent = {one.copy_key.target: one.level for one in await site.said(CopyAbsent)}
    assert absent == {"onsite": "removed", "remote": "shredded"}
