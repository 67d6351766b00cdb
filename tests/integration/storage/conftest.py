"""The same empty store in each of its adapters."""

import shutil
import uuid
from pathlib import Path

import pytest

from shared.storage import BlobStore, FilesystemStore, MeasuredStore, MemoryStore

#: Azure's stand-in is no Python package; whoever has it tests with it.
ADAPTERS = ["memory", "measured", "filesystem", "seaweed", *(["azure"] if shutil.which("azurite-blob") else [])]


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """An empty store; every test of the suite runs once with each adapter."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "measured":
        return MeasuredStore(MemoryStore(), "suite")
    if request.param == "filesystem":
        return FilesystemStore(tmp_path / "blobs")
    if request.param == "azure":
        return request.getfixturevalue("azure").store()
    return request.getfixturevalue("seaweed").store("suite", uuid.uuid4().hex)


@pytest.fixture
def cloud_store(seaweed) -> BlobStore:
    """An empty prefix of a bucket on a real S3 server."""
    return seaweed.store("suite", uuid.uuid4().hex)
