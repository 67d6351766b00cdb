"""A store from its URL."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from shared.storage.filesystem import FilesystemStore
from shared.storage.memory import MemoryStore
from shared.storage.objects import CLIENT, RETRY, ObjectStore
from shared.storage.port import BlobStore


@dataclass(frozen=True)
class Credentials:
    """What proves who we are to an object store: access key and secret (S3), account and key (Azure).

    For Google Cloud Storage ``secret`` is the path of a service account file. None at all leaves it to the provider's
    own chain: the environment, a web identity, the instance's role.
    """

    access: str | None = None
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def open_store(url: str, credentials: Credentials | None = None, *, storage_class: str | None = None) -> BlobStore:
    """The store at ``url``; ValueError when the URL says none.

    ``file:///folder`` · ``s3://bucket/prefix?endpoint=http://host:port&region=name`` ·
    ``az://container/prefix?endpoint=…`` · ``gs://bucket/prefix?endpoint=…`` · ``memory:`` (tests).
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "file":
        return FilesystemStore(_folder(parts))
    if parts.scheme not in _OBJECTS or not parts.netloc:
        raise ValueError("a store is file:///folder, s3://bucket, az://container, gs://bucket or memory:")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    common: dict[str, Any] = {
        "prefix": parts.path.strip("/") or None,
        "client_options": {**CLIENT, "allow_http": options.get("endpoint", "").startswith("http://")},
        "retry_config": RETRY,
    }
    store = _OBJECTS[parts.scheme](parts.netloc, options, credentials or Credentials(), common)
    return ObjectStore(store, storage_class=storage_class)


def _folder(parts: SplitResult) -> Path:
    if parts.netloc or not parts.path.startswith("/"):
        raise ValueError("a file store has an absolute path: file:///folder")
    return Path(unquote(parts.path))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _s3(bucket: str, options: Mapping[str, str], credentials: Credentials, common: dict[str, Any]) -> Any:
    return S3Store(
        bucket,
        **common,
        **_given(
            endpoint=options.get("endpoint"),
            region=options.get("region") or os.environ.get("AWS_REGION", "us-east-1"),
            access_key_id=credentials.access,
            secret_access_key=credentials.secret,
            session_token=credentials.token,
            checksum_algorithm="SHA256",
        ),
    )


def _azure(container: str, options: Mapping[str, str], credentials: Credentials, common: dict[str, Any]) -> Any:
    return AzureStore(
        container,
        **common,
        **_given(
            endpoint=options.get("endpoint"),
            account_name=credentials.access,
            account_key=credentials.secret,
        ),
    )


def _google(bucket: str, options: Mapping[str, str], credentials: Credentials, common: dict[str, Any]) -> Any:
    return GCSStore(bucket, **common, **_given(service_account=credentials.secret))


_Open = Callable[[str, Mapping[str, str], Credentials, dict[str, Any]], Any]
_OBJECTS: dict[str, _Open] = {"s3": _s3, "az": _azure, "gs": _google}
