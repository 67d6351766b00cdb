"""Buckets of targets on a real S3 server."""

import asyncio
import uuid
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import SUSPENDED, VersioningConfig

from shared.storage import BlobMissing, Credentials, StoreRefused, StoreUnavailable
from shared.storage.administration import bucket_state, client, ensure_bucket, get_tags, is_hidden, set_tags
from shared.storage.targets import Target, open_key_bucket, open_target


@pytest.fixture
def target(seaweed, monkeypatch) -> Target:
    """A cloud target whose buckets are not made yet."""
    credentials(monkeypatch, seaweed.credentials)
    return named(seaweed.endpoint)


def named(endpoint: str, **settings: object) -> Target:
    fixed = {"name": "cloud-a", "kind": "s3", "jurisdiction": "eu", "forms": ["identified"], "region": "us-east-1"}
    bucket = f"b{uuid.uuid4().hex[:12]}"
    return Target.model_validate(
        {**fixed, "endpoint": endpoint, "bucket": bucket, "credentials_env": "CLOUD_A", **settings}
    )


def credentials(monkeypatch: pytest.MonkeyPatch, keys: Credentials) -> None:
    monkeypatch.setenv("CLOUD_A_ACCESS_KEY", keys.access)
    monkeypatch.setenv("CLOUD_A_SECRET_KEY", keys.secret)


async def test_makes_both_buckets_and_may_be_repeated(target):
    """After ensure_bucket, copies and key objects can be put; a second time nothing changes."""
    await ensure_bucket(target)
    await open_target(target, "hot").put("a", b"copy")
    await open_key_bucket(target).put("a", b"key")
    await ensure_bucket(target)
    assert await open_target(target).get("a") == b"copy"
    assert await open_key_bucket(target).get("a") == b"key"


async def test_many_provisioners_at_once_agree(target):
    """Several processes that start together all find the buckets made."""
    await asyncio.gather(*(ensure_bucket(target) for _ in range(6)))
    assert (await bucket_state(target)).exists


async def test_unfinished_uploads_of_others_expire(target):
    """Both buckets have the rule that removes uploads that nobody finishes."""
    await ensure_bucket(target)
    for bucket in (target.bucket, target.key_bucket):
        (rule,) = client(target).get_bucket_lifecycle(bucket).rules
        assert rule.abort_incomplete_multipart_upload.days_after_initiation == 7


async def test_locks_copies_and_never_keys(seaweed, monkeypatch):
    """With lock_days a copy cannot be removed for good, while a key object can."""
    credentials(monkeypatch, seaweed.credentials)
    target = named(seaweed.endpoint, lock_days=2)
    await ensure_bucket(target)
    state = await bucket_state(target)
    assert (state.versioned, state.lock_days) == (True, 2)
    await open_target(target).put("a", b"copy")
    await open_target(target).delete("a")
    versions = list(client(target).list_objects(target.bucket, include_version=True))
    assert any(version.object_name == "a" and not version.is_delete_marker for version in versions)
    await open_key_bucket(target).put("a", b"key")
    await open_key_bucket(target).delete("a")
    with pytest.raises(BlobMissing):
        await open_key_bucket(target).get("a")
    assert list(client(target).list_objects(target.key_bucket, include_version=True)) == []


async def test_a_lock_cannot_come_later(seaweed, monkeypatch):
    """A bucket made without a lock is refused for a target that wants one, rather than taken for locked."""
    credentials(monkeypatch, seaweed.credentials)
    plain = named(seaweed.endpoint)
    await ensure_bucket(plain)
    with pytest.raises(ValueError, match="lock"):
        await ensure_bucket(plain.model_copy(update={"lock_days": 2}))


async def test_a_key_bucket_keeps_no_versions(target):
    """A key bucket that somebody made with versions, which outlive a delete, keeps none any more."""
    await ensure_bucket(target)
    client(target).set_bucket_versioning(target.key_bucket, VersioningConfig(ENABLED))
    await ensure_bucket(target)
    assert client(target).get_bucket_versioning(target.key_bucket).status == SUSPENDED


@pytest.mark.parametrize("prefix", [None, "site-a/keys"])
async def test_a_key_that_was_put_while_versions_were_on_is_hidden_and_not_gone(target, prefix):
    """Deleted by name it looks gone; a key of a like name is another."""
    target = target.model_copy(update={"prefix": prefix})
    await ensure_bucket(target)
    keys = open_key_bucket(target)
    await keys.put("plain", b"key")
    await keys.delete("plain")
    client(target).set_bucket_versioning(target.key_bucket, VersioningConfig(ENABLED))
    await keys.put("versioned/0001", b"key")
    await keys.delete("versioned/0001")
    assert [await is_hidden(target, key) for key in ("plain", "versioned/0001", "versioned/000")] == [
        False,
        True,
        False,
    ]
    for one in client(target).list_objects(target.key_bucket, recursive=True, include_version=True):
        client(target).remove_object(target.key_bucket, one.object_name, one.version_id)
    assert not await is_hidden(target, "versioned/0001")


async def test_tags_are_replaced(target):
    """Tags of an object can be set and read."""
    await ensure_bucket(target)
    await open_target(target).put("a", b"copy")
    await set_tags(target, "a", {"tier": "hot", "form": "identified"})
    assert await get_tags(target, "a") == {"tier": "hot", "form": "identified"}


async def test_a_dead_cloud_is_unavailable(free_port, monkeypatch):
    """Nobody listens: unavailable, without its address in the error."""
    credentials(monkeypatch, Credentials("key", "secret"))
    with pytest.raises(StoreUnavailable) as caught:
        await ensure_bucket(named(f"http://127.0.0.1:{free_port}"))
    assert "127.0.0.1" not in str(caught.value)


async def test_wrong_credentials_are_a_refusal(seaweed, monkeypatch):
    """Not let in: refused."""
    credentials(monkeypatch, Credentials(seaweed.credentials.access, "wrong"))
    with pytest.raises(StoreRefused):
        await ensure_bucket(named(seaweed.endpoint))


async def test_a_folder_has_a_folder_for_keys_beside_it(tmp_path: Path):
    """A filesystem target keeps copies and keys apart."""
    target = Target(
        name="onsite", kind="filesystem", url=f"file://{tmp_path}/copies", jurisdiction="site", forms=("identified",)
    )
    await ensure_bucket(target)
    await ensure_bucket(target)
    await open_target(target).put("a", b"copy")
    await open_key_bucket(target).put("a", b"key")
    assert (tmp_path / "copies/a").read_bytes() == b"copy"
    assert (tmp_path / "copies-keys/a").read_bytes() == b"key"
