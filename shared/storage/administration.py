"""What S3 needs that obstore has not: buckets, object lock, versioning, lifecycle, tags. On the minio SDK, in threads.

Every function may be repeated. Azure containers and Google buckets are made by the operator's own tools.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, GOVERNANCE, Filter, Tags
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.versioningconfig import OFF, SUSPENDED, VersioningConfig

from shared.storage.errors import StoreRefused, StoreUnavailable
from shared.storage.opening import Credentials
from shared.storage.targets import Target

T = TypeVar("T")

#: A bucket that is there already, by us or by someone who made it at the same moment.
_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True)
class BucketState:
    """What a bucket is set to: versioned or not, and the days of its default lock."""

    exists: bool
    versioned: bool = False
    lock_days: int | None = None


async def ensure_bucket(target: Target) -> None:
    """Make ``target``'s places for data and keys where they are not, and set them as ``targets.yaml`` says.

    StoreUnavailable when it does not answer, StoreRefused when it says no, ValueError for a lock on a bucket that was
    made without one: that cannot be added later.
    """
    if target.kind == "filesystem":
        await asyncio.to_thread(_ensure_folders, target)
    elif target.kind == "s3":
        await _call(lambda: _ensure_s3(target))


async def bucket_state(target: Target) -> BucketState:
    """How the data bucket is set; of an S3 target only."""
    return await _call(lambda: _state(client(target), _bucket(target)))


async def is_hidden(target: Target, key: str) -> bool:
    """Whether the key bucket keeps a version of the key object ``key``, though it may look deleted to whoever asks for
    it by name: it was put while somebody had versions switched on. Of an S3 target; of others False."""
    if target.kind != "s3":
        return False
    return await _call(lambda: _has_version(client(target), target, key))


async def set_tags(target: Target, key: str, tags: Mapping[str, str]) -> None:
    """Replace the tags of the object ``key``; tags are readable in the provider's console: nothing of a person."""
    await _call(lambda: client(target).set_object_tags(_bucket(target), key, _tags(tags)))


async def get_tags(target: Target, key: str) -> dict[str, str]:
    """The tags of the object ``key``."""
    return await _call(lambda: dict(client(target).get_object_tags(_bucket(target), key) or {}))


def client(target: Target) -> Minio:
    """A minio client of ``target`` that gives up in bounded time."""
    address = urlsplit(target.endpoint or "https://s3.amazonaws.com")
    keys = target.credentials() or Credentials()
    return Minio(
        address.netloc,
        access_key=keys.access,
        secret_key=keys.secret,
        session_token=keys.token,
        region=target.region,
        secure=address.scheme == "https",
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5, read=20),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        ),
    )


def _ensure_folders(target: Target) -> None:
    folder = Path(unquote(urlsplit(target.url or "").path))
    for place in (folder, folder.with_name(f"{folder.name}-keys")):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)


def _ensure_s3(target: Target) -> None:
    administration = client(target)
    _make(administration, _bucket(target), locked=target.lock_days is not None)
    _make(administration, f"{target.key_bucket}", locked=False)
    if target.lock_days is not None:
        _lock(administration, _bucket(target), target.lock_days)
    for bucket in (_bucket(target), f"{target.key_bucket}"):
        administration.set_bucket_lifecycle(bucket, _no_leftovers())
    _unversioned(administration, f"{target.key_bucket}")


def _make(administration: Minio, bucket: str, *, locked: bool) -> None:
    if administration.bucket_exists(bucket):
        return
    try:
        administration.make_bucket(bucket, object_lock=locked)
    except S3Error as error:
        if error.code not in _THERE:
            raise


def _lock(administration: Minio, bucket: str, days: int) -> None:
    if _versioning(administration, bucket) != ENABLED:
        raise ValueError("object lock must be chosen when a bucket is made; this one was made without")
    administration.set_object_lock_config(bucket, ObjectLockConfig(GOVERNANCE, days, DAYS))


def _unversioned(administration: Minio, bucket: str) -> None:
    """A versioned key bucket would keep what is deleted: keys that were destroyed would not be."""
    if _versioning(administration, bucket) == ENABLED:
        administration.set_bucket_versioning(bucket, VersioningConfig(SUSPENDED))


def _versioning(administration: Minio, bucket: str) -> str:
    return administration.get_bucket_versioning(bucket).status or OFF


def _state(administration: Minio, bucket: str) -> BucketState:
    if not administration.bucket_exists(bucket):
        return BucketState(exists=False)
    versioned = _versioning(administration, bucket) == ENABLED
    try:
        lock = administration.get_object_lock_config(bucket)
    except S3Error:
        return BucketState(exists=True, versioned=versioned)
    return BucketState(exists=True, versioned=versioned, lock_days=lock.duration)


def _has_version(administration: Minio, target: Target, key: str) -> bool:
    name = "/".join(filter(None, ((target.prefix or "").strip("/"), key)))
    listed = administration.list_objects(f"{target.key_bucket}", prefix=name, recursive=True, include_version=True)
    return any(one.object_name == name and not one.is_delete_marker for one in listed)


def _no_leftovers() -> LifecycleConfig:
    """Uploads that another tool began and never ended cost money and are never seen."""
    abort = AbortIncompleteMultipartUpload(days_after_initiation=7)
    return LifecycleConfig(
        [Rule(ENABLED, rule_filter=Filter(prefix=""), rule_id="leftovers", abort_incomplete_multipart_upload=abort)]
    )


def _tags(tags: Mapping[str, str]) -> Tags:
    made = Tags.new_object_tags()
    made.update(tags)
    return made


def _bucket(target: Target) -> str:
    if target.kind != "s3" or target.bucket is None:
        raise ValueError("only S3 buckets are administered here")
    return target.bucket


async def _call(work: Callable[[], T]) -> T:
    """``work`` in a thread, its errors told without the address, bucket or answer that they name."""
    try:
        return await asyncio.to_thread(work)
    except S3Error as error:
        raise (StoreUnavailable() if error.response.status >= 500 else StoreRefused()) from None
    except (urllib3.exceptions.HTTPError, ServerError, InvalidResponseError, OSError):
        raise StoreUnavailable from None
    except MinioException:
        raise StoreRefused from None
