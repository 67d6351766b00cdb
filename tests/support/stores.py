"""Stores for tests of what uses a store."""

from pathlib import Path

import pytest

from shared.storage import FilesystemStore, MemoryStore


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty store in memory."""
    return MemoryStore()


@pytest.fixture
def file_store(tmp_path: Path) -> FilesystemStore:
    """An empty store in a folder of its own."""
    return FilesystemStore(tmp_path / "blobs")
