"""A finished batch file in the landing store: by a second name, or as a copy; always what the manifest describes."""

from pathlib import Path

import pytest

from contracts.formats.archive import iterate
from contracts.formats.manifest import place
from services.dicom_ingest.adapters.archives import Archives
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.spooled import tidy
from services.dicom_ingest.domain.instance import Issuers, describe
from services.dicom_ingest.domain.json_model import Memory
from shared.identity import SiteKey
from shared.storage import BlobExists, FilesystemStore, MemoryStore
from tests.unit.dicom_ingest.test_spool import clock, close_all, files, spool, store

__all__ = ["clock", "spool"]
KEY = "identified/ab/instances"


async def test_on_one_disk_the_bytes_are_not_written_again(tmp_path: Path, file_store: FilesystemStore) -> None:
    path = tmp_path / "batch"
    path.write_bytes(b"archive")
    assert await Archives(file_store).put(KEY, path) == 7
    path.unlink()
    assert await file_store.get(f"{KEY}/0001") == b"archive"


async def test_a_repeat_is_quiet_and_other_bytes_are_refused(tmp_path: Path, file_store: FilesystemStore) -> None:
    path, copy, other = (tmp_path / name for name in ("batch", "copy", "other"))
    for each, content in ((path, b"archive"), (copy, b"archive"), (other, b"another")):
        each.write_bytes(content)
    for each in (path, path, copy):
        await Archives(file_store).put(KEY, each)
    with pytest.raises(BlobExists):
        await Archives(file_store).put(KEY, other)


async def test_elsewhere_it_is_copied(tmp_path: Path, memory_store: MemoryStore) -> None:
    path = tmp_path / "batch"
    path.write_bytes(b"archive")
    assert await Archives(memory_store).put(KEY, path) == 7
    assert await memory_store.get(f"{KEY}/0001") == b"archive"


async def test_more_than_a_part_is_copied_in_parts(tmp_path: Path, file_store: FilesystemStore) -> None:
    path = tmp_path / "batch"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert await Archives(file_store).put(KEY, path) == (64 << 20) + 1
    assert [(await file_store.head(f"{KEY}/{number:04d}")).size for number in (1, 2)] == [64 << 20, 1]


async def test_the_spools_file_is_byte_for_byte_what_the_manifests_writer_makes(spool: Spool) -> None:
    for data in (b"one", b"two" * 40_000, b""):
        store(spool, data)
    (batch,) = close_all(spool)
    described = [
        describe(record, batch.read, SiteKey(bytes(32)), Issuers("", ""), Memory()).instance for record in batch.records
    ]
    placed = tuple(place(described))
    contents = dict(zip((instance.entry for instance in placed), files(batch), strict=True))
    made = b"".join(bytes(part) for part in iterate(placed, lambda instance: [contents[instance.entry]]))
    assert batch.path.read_bytes() == made


async def test_what_a_process_left_that_died_while_closing_is_tidied(spool: Spool) -> None:
    store(spool, b"one")
    (batch,) = close_all(spool)
    (spool.directory / "half.draft").write_bytes(b"x")
    (spool.directory / "landed.closed").write_bytes(b"x")
    tidy(spool.directory)
    assert sorted(path.suffix for path in spool.directory.iterdir()) == ["", ".batch", ".closed"]
    assert batch.path.with_suffix(".closed").exists()
