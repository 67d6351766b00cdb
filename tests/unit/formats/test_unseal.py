"""The pack reader: every section and every instance of a sealed pack that lies in parts."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts.events.common import Sections
from contracts.formats.archive import iterate, layout
from contracts.formats.digests import FileDigests
from contracts.formats.errors import FormatError, KeyRefused, SealBroken
from contracts.formats.headers import header_line
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord, new_study_key
from contracts.formats.manifest import Manifest, write_manifest
from contracts.formats.sealed import new_object_key, prepare, seal
from contracts.formats.unseal import PackReader
from tests.unit.formats.files import manifest_of, opener

CONTENTS = [b"DICM" + os.urandom(size) for size in (100, 700_000, 10, 5_000_000)]
HEADERS = [header_line(f"{n:06d}.dcm", {"00080060": {"vr": "CS", "Value": ["CT"]}}) for n in range(1, 5)]


class Store:
    """A sealed pack in memory, cut into parts, and the record of its study key."""

    def __init__(self, directory: Path, part_size: int) -> None:
        self.keys = FileKeyEncryptionKeys(directory)
        self.keys.create("hospital")
        self.manifest: Manifest = manifest_of(CONTENTS, named="pack")
        self.record, study_key = new_study_key("key-1", "hospital", self.keys)
        lines, archive = write_manifest(self.manifest), iterate(self.manifest.instances, opener(CONTENTS))
        sections = Sections(
            manifest=len(lines),
            headers=sum(map(len, HEADERS)),
            archive=layout(self.manifest.instances).total,
        )
        object_key = new_object_key()
        header = prepare(
            sealed_id="s",
            form="identified",
            key_domain="hospital",
            study_key_id="key-1",
            study_key=study_key,
            object_key=object_key,
            sections=sections,
        )
        pack = b"".join(seal((lines, *HEADERS, *archive), header, object_key))
        self.parts = [pack[start : start + part_size] for start in range(0, len(pack), part_size)]
        self.read_bytes = 0

    async def read_range(self, number: int, start: int, length: int) -> bytes:
        self.read_bytes += length
        return self.parts[number - 1][start : start + length]

    async def find_study_key(self, study_key_id: str) -> StudyKeyRecord:
        assert study_key_id == "key-1"
        return self.record

    def reader(self, sizes: Sequence[tuple[int, int]] | None = None) -> PackReader:
        parts = sizes or [(number, len(part)) for number, part in enumerate(self.parts, start=1)]
        return PackReader(self.read_range, parts, self.find_study_key, self.keys)


@pytest.fixture(params=[1 << 30, 1_000_000, 5_000], ids=["one part", "few parts", "parts smaller than a segment"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The same pack in parts of several sizes."""
    return Store(tmp_path, request.param)


async def test_every_instance_comes_back(store: Store) -> None:
    """Bit for bit, from the manifest inside the pack alone."""
    reader = store.reader()
    manifest = await reader.manifest()
    assert manifest == store.manifest
    for instance in manifest.instances:
        content = b"".join([piece async for piece in reader.instance(instance)])
        digests = FileDigests(instance)
        digests.update(content)
        assert digests.match()


async def test_sections_come_back_as_streams(store: Store) -> None:
    """Headers and instances one by one, the archive in chunks."""
    reader = store.reader()
    assert [each.entry async for each in reader.headers()] == [each.entry for each in store.manifest.instances]
    assert tuple([each async for each in reader.instances()]) == store.manifest.instances
    archive = b"".join([piece async for piece in reader.section("archive")])
    assert archive == b"".join(iterate(store.manifest.instances, opener(CONTENTS)))


async def test_one_instance_costs_only_its_segments(tmp_path: Path) -> None:
    """No more than two segments beside the instance are read, once the envelope is known."""
    store = Store(tmp_path, 1_000_000)
    reader = store.reader()
    await reader.envelope()
    store.read_bytes = 0
    [piece async for piece in reader.instance(store.manifest.instances[2])]
    assert store.read_bytes <= 2 * 262144


async def test_a_pack_opens_while_it_streams_by(store: Store) -> None:
    """Whoever reads every byte for its digest gets the plaintext on the same way."""
    reader = store.reader()
    unsealing, offset = await reader.unsealing(), (await reader.envelope()).body_offset
    pack = b"".join(store.parts)
    plaintext = b"".join(
        piece for start in range(offset, len(pack), 3333) for piece in unsealing.feed(pack[start : start + 3333])
    )
    unsealing.finish()
    assert plaintext.startswith(write_manifest(store.manifest))


async def test_a_missing_part_is_found_before_anything_is_read(store: Store) -> None:
    """The header tells how long the whole is."""
    sizes = [(number, len(part)) for number, part in enumerate(store.parts, start=1)]
    sizes[-1] = (sizes[-1][0], sizes[-1][1] - 1)
    with pytest.raises(SealBroken, match="sealed-truncated"):
        await store.reader(sizes).header()


async def test_a_part_that_gives_less_than_it_should_is_found(store: Store) -> None:
    """A store that answers short does not pass for the pack."""
    sizes = [(number, len(part)) for number, part in enumerate(store.parts, start=1)]
    store.parts[-1] = store.parts[-1][:-1]
    with pytest.raises(SealBroken):
        [piece async for piece in store.reader(sizes).section("archive")]


async def test_a_damaged_part_is_found(store: Store) -> None:
    """By whoever reads the segment, in whichever part it lies."""
    last = bytearray(store.parts[-1])
    last[-1] ^= 1
    store.parts[-1] = bytes(last)
    with pytest.raises(FormatError):
        [piece async for piece in store.reader().section("archive")]


async def test_the_record_of_another_key_is_refused(store: Store) -> None:
    """The header names its study key and its domain; a record of another name is not tried."""
    store.record = store.record.model_copy(update={"id": "key-2"})
    with pytest.raises(KeyRefused, match="study-key-record"):
        await store.reader().manifest()
