"""Encryption on stores: what is sealed opens again, and nothing damaged is ever sealed."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.events import Batch, BatchArchived, Event, PackSealed, ProvenCopy
from contracts.formats import archive
from contracts.formats.headers import read_headers
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import read_manifest
from contracts.formats.sealed import open_sealed
from services.encryption.adapters.buffer import SealingBuffer
from services.encryption.adapters.copies import ResolvedInputs
from services.encryption.adapters.inputs import StoredInputs
from services.encryption.adapters.keys import KeysAway, StoredStudyKeys
from services.encryption.adapters.sealer import Sealer
from services.encryption.domain.orders import SealOrder
from services.encryption.domain.plaintext import InputDamaged, InputReleased, Pack
from services.encryption.domain.sealing import SealingDiffers
from services.encryption.handlers import SealHandlers
from services.encryption.ports import Inputs
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.storage import BlobMissing, FilesystemStore
from tests.support.packs import copies, deidentified, make_file, planned, store_batch

SITE_KEY = SiteKey(bytes(range(32)))


@dataclass
class Said:
    """A bus that keeps what it is told."""

    events: list[tuple[str, Event]] = field(default_factory=list)

    async def publish(self, event: Event, *, id: str) -> int:  # noqa: A002
        self.events.append((id, event))
        return len(self.events)

    def last(self) -> PackSealed:
        event = self.events[-1][1]
        assert isinstance(event, PackSealed)
        return event


class Bench:
    """Encryption over folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing, self.deid, self.sealed, self.keys = (
            FilesystemStore(folder / name) for name in ("landing", "deid", "sealed", "keys")
        )
        self.kek = FileKeyEncryptionKeys(folder / "kek")
        self.bus = Said()
        self.handlers = self.with_inputs(StoredInputs({"landing": self.landing, "deid": self.deid}))

    def with_inputs(self, inputs: Inputs) -> SealHandlers:
        """The handlers, with other inputs."""
        buffer = SealingBuffer(self.sealed)
        study_keys = StoredStudyKeys(self.keys, self.kek)
        return SealHandlers(
            site_key=SITE_KEY,
            inputs=inputs,
            buffer=buffer,
            sealing=Sealer(buffer=buffer, study_keys=study_keys),
            study_keys=study_keys,
            bus=self.bus,
        )

    async def open(self, event: PackSealed) -> bytes:
        """The plaintext of what the event names."""
        chunks = [await self.sealed.get(part.key) for part in event.sealed.parts]
        record = StudyKeyRecord.parse(await self.keys.get(f"{event.sealed.study_key.key}/0001"))
        return b"".join(open_sealed(chunks, lambda header: record.open(self.kek)))

    def flip(self, store: str, key: str, offset: int = -1) -> None:
        """Change one byte of a stored value."""
        path = self.folder / store / key
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.write_bytes(data)

    async def stored(self, prefix: str = "") -> set[str]:
        """The keys of the buffer."""
        return {blob.key async for blob in self.sealed.list(prefix)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh site."""
    return Bench(tmp_path)


def received(event: Event, id: str = "cause") -> Received:  # noqa: A002
    """``event`` as a handler gets it."""
    return Received(id=id, data=event, time=datetime.now(UTC))


async def test_the_sealed_pack_holds_every_batch_in_order(bench: Bench) -> None:
    """The plaintext is the merged manifest, the headers and an archive of all instances, byte for byte."""
    files = [make_file(seed) for seed in range(5)]
    batches = [await store_batch(bench.landing, files[:2]), await store_batch(bench.landing, files[2:])]
    await bench.handlers.pack_planned(received(planned(batches, copies("onsite", "cloud-a"))))
    event = bench.bus.last()
    data = await bench.open(event)
    sections = event.sealed.sections
    manifest = read_manifest([data[: sections.manifest]])
    body = data[sections.manifest + sections.headers :]
    assert [body[i.offset : i.offset + i.length] for i in manifest.instances] == [content for content, _ in files]
    assert body == b"".join(archive.iterate(manifest.instances, lambda i: [files[int(i.entry[:6]) - 1][0]]))
    assert (event.sealed.instances, manifest.id, len(event.copies)) == (5, "pack", 2)


#: Of two batches of two and three instances.
LEFT_OUT = ("1", "1,3")


def without(batch: Batch, count: int) -> Batch:
    """A batch as the plan of a pack tells it that leaves out so many of it."""
    return batch.model_copy(update={"instances": batch.instances - count})


async def test_what_a_plan_leaves_out_is_in_no_section_of_the_pack(bench: Bench) -> None:
    """As if the batch had never had it: manifest, headers and archive are those of the others, numbered through."""
    files = [make_file(seed) for seed in range(5)]
    batches = [
        without(await store_batch(bench.landing, files[:2]), 1),
        without(await store_batch(bench.landing, files[2:]), 2),
    ]
    await bench.handlers.pack_planned(received(planned(batches, copies("onsite"), left_out=LEFT_OUT)))
    event = bench.bus.last()
    data = await bench.open(event)
    sections = event.sealed.sections
    manifest = read_manifest([data[: sections.manifest]])
    headers = list(read_headers([data[sections.manifest : sections.manifest + sections.headers]]))
    body = data[sections.manifest + sections.headers :]
    kept = [content for content, _ in (files[1], files[3])]
    assert [body[i.offset : i.offset + i.length] for i in manifest.instances] == kept
    assert body == b"".join(archive.iterate(manifest.instances, lambda i: [kept[int(i.entry[:6]) - 1]]))
    assert [each.entry for each in headers] == [each.entry for each in manifest.instances]
    assert event.sealed.instances == 2


async def test_who_does_not_know_what_is_left_out_refuses_the_pack(bench: Bench) -> None:
    """A service of an older version reads no ``left_out``: it finds another number of instances than it was told."""
    batch = without(await store_batch(bench.landing, [make_file(1), make_file(2)]), 1)
    with pytest.raises(InputDamaged, match="input-counts"):
        await bench.handlers.pack_planned(received(planned([batch], copies("onsite"))))
    assert bench.bus.events == []


async def test_a_plan_that_leaves_out_what_is_not_there_is_refused(bench: Bench) -> None:
    """Nothing is sealed, and the reason is told."""
    batch = await store_batch(bench.landing, [make_file(1)])
    with pytest.raises(InputDamaged, match="input-left-out"):
        await bench.handlers.pack_planned(received(planned([batch], copies("onsite"), left_out=("2",))))
    assert bench.bus.events == []


async def test_each_key_domain_gets_its_own_seal_and_key(bench: Bench) -> None:
    """Two domains, two sealed packs that share no key; the key-encryption keys are files of mode 0600."""
    batch = await store_batch(bench.landing, [make_file(1)])
    wanted = copies("cloud-a", domain="hospital") + copies("cloud-b", domain="group")
    await bench.handlers.pack_planned(received(planned([batch], wanted)))
    seals = [event for _, event in bench.bus.events]
    assert {seal.sealed.key_domain for seal in seals} == {"hospital", "group"}
    assert len({seal.sealed.study_key.key for seal in seals}) == len({seal.sealed.sealed_id for seal in seals}) == 2
    modes = {path.name: path.stat().st_mode & 0o777 for path in (bench.folder / "kek").iterdir()}
    assert modes == {"hospital.kek": 0o600, "group.kek": 0o600}


async def test_a_deidentified_pack_shares_no_id_with_its_source(bench: Bench) -> None:
    """Sealed id, study key and pack id of both forms differ, in the same key domain."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    other = await store_batch(bench.deid, [make_file(2)], name="deid", form="deidentified", batch_id="research-pack")
    await bench.handlers.pack_deidentified(received(deidentified(other, copies("cloud-a", form="deidentified"))))
    one, two = (event.sealed for _, event in bench.bus.events)
    assert one.sealed_id != two.sealed_id
    assert one.study_key.key != two.study_key.key
    assert (one.pack_id, two.pack_id) == ("pack", "research-pack")
    assert read_manifest([(await bench.open(bench.bus.last()))[: two.sections.manifest]]).form == "deidentified"


async def test_a_repeat_says_the_same_and_reads_nothing(bench: Bench) -> None:
    """With the receipt there, landing may be gone: the same event with the same id, nothing new in the buffer."""
    batch = await store_batch(bench.landing, [make_file(1)])
    event = planned([batch], copies("cloud-a"))
    await bench.handlers.pack_planned(received(event))
    before = await bench.stored()
    await bench.landing.delete(f"{batch.archive.key}/0001")
    await bench.landing.delete(f"{batch.manifest.key}/0001")
    await bench.handlers.pack_planned(received(event))
    first, second = bench.bus.events
    assert first == second
    assert await bench.stored() == before


async def test_a_new_run_gets_its_own_event(bench: Bench) -> None:
    """The sweep's run is passed on, under another id."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a")), "one"))
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"), run=1), "two"))
    (first, zero), (second, one) = bench.bus.events
    assert first != second
    assert (zero.run, one.run, zero.sealed) == (0, 1, one.sealed)


@pytest.mark.parametrize(
    ("section", "offset"),
    [("archive", 50), ("archive", 400), ("archive", -800), ("manifest", 5), ("manifest", -5), ("headers", 50)],
)
async def test_a_flipped_byte_in_landing_is_never_sealed(bench: Bench, section: str, offset: int) -> None:
    """The input's digests decide; neither an event nor a part is left."""
    batch = await store_batch(bench.landing, [make_file(seed) for seed in range(3)])
    bench.flip("landing", f"{getattr(batch, section).key}/0001", offset)
    with pytest.raises(InputDamaged):
        await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    assert not bench.bus.events
    assert not await bench.stored()


@pytest.mark.parametrize("section", ["archive", "headers", "manifest"])
async def test_a_missing_input_is_said_to_be_missing(bench: Bench, section: str) -> None:
    """No receipt, no whole landing batch: a dead letter, not a guess, and before anything is read."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.landing.delete(f"{getattr(batch, section).key}/0001")
    with pytest.raises(BlobMissing):
        await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))


@dataclass
class Released:
    """Landing batches that are released as soon as they are open."""

    landing: FilesystemStore
    key: str

    async def open(self, order: SealOrder) -> Pack:
        pack = await StoredInputs({"landing": self.landing}).open(order)
        await self.landing.delete(self.key)
        return pack


@pytest.mark.parametrize("run", [0, 1])
async def test_an_input_that_goes_while_it_is_read_is_sought_again(bench: Bench, run: int) -> None:
    """Sealing anew, or making a broken part again: no dead letter, nothing left, and the next attempt finds a copy."""
    batch = await store_batch(bench.landing, [make_file(1)])
    if run:
        await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
        await bench.sealed.delete(bench.bus.last().sealed.parts[0].key)
    told = len(bench.bus.events)
    copy = FilesystemStore(shutil.copytree(bench.folder / "landing", bench.folder / "copy"))
    released = Released(bench.landing, f"{batch.archive.key}/0001")
    handlers = bench.with_inputs(ResolvedInputs(stored=released, copied=StoredInputs({"landing": copy})))
    event = received(planned([batch], copies("cloud-a"), run=run), f"plan-{run}")
    with pytest.raises(InputReleased):
        await handlers.pack_planned(event)
    assert (len(bench.bus.events), await bench.stored("parts")) == (told, set())
    await handlers.pack_planned(event)
    assert await bench.open(bench.bus.last())


async def test_what_an_interrupted_attempt_left_is_cleared_away(bench: Bench) -> None:
    """Parts without a receipt go when the sealing succeeds, and when it is repeated."""
    batch = await store_batch(bench.landing, [make_file(1)])
    sealed_id = SITE_KEY.token("sealed", "pack", "hospital")
    await bench.sealed.put(f"parts/{sealed_id}/0001-dead/0001", b"left by a crash")
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    assert await bench.stored(f"parts/{sealed_id}") == {bench.bus.last().sealed.parts[0].key}


@pytest.mark.parametrize("damage", ["flip", "delete"])
async def test_a_damaged_buffer_is_made_again_byte_for_byte(bench: Bench, damage: str) -> None:
    """A new run of the plan finds the damage; the parts lie under new keys and have the digests they had."""
    batch = await store_batch(bench.landing, [make_file(seed) for seed in range(3)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    old = bench.bus.last().sealed
    original = await bench.sealed.get(old.parts[0].key)
    if damage == "flip":
        bench.flip("sealed", old.parts[0].key)
    else:
        await bench.sealed.delete(old.parts[0].key)
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"), run=1), "again"))
    new = bench.bus.last().sealed
    assert new.parts[0].key != old.parts[0].key
    assert new.parts[0].sha256 == old.parts[0].sha256
    assert await bench.sealed.get(new.parts[0].key) == original
    assert await bench.stored("parts") == {new.parts[0].key}


async def test_a_damaged_buffer_is_not_made_again_from_other_bytes(bench: Bench) -> None:
    """A pack id that suddenly names other bytes is refused: one nonce must not serve two plaintexts."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    await bench.sealed.delete(bench.bus.last().sealed.parts[0].key)
    other = await store_batch(bench.landing, [make_file(2)])
    with pytest.raises(SealingDiffers):
        await bench.handlers.pack_planned(received(planned([other], copies("cloud-a"), run=1), "again"))
    assert not await bench.stored("parts")


def _archived(sealed_id: str, proven: bool) -> BatchArchived:
    proof = ProvenCopy(
        sealed_id=sealed_id, pack_id="pack", form="identified", target="a", generation=1, proven=datetime.now(UTC)
    )
    return BatchArchived(
        batch_id="batch",
        study_uid=None,
        study_ref="study",
        pack_ids=("pack",),
        sealed_ids=(sealed_id,),
        copies=(proof,) if proven else (),
        withheld=0,
    )


@pytest.mark.parametrize(("proven", "left"), [(True, 0), (False, 1)])
async def test_the_buffer_is_released_with_the_proof_and_not_before(bench: Bench, proven: bool, left: int) -> None:
    """After release a new run still says what was sealed, and makes nothing again."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    sealed = bench.bus.last().sealed
    for _ in range(2):
        await bench.handlers.batch_archived(received(_archived(sealed.sealed_id, proven)))
    assert len(await bench.stored("parts")) == left
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"), run=1), "again"))
    assert bench.bus.last().sealed == sealed
    assert len(await bench.stored("parts")) == left


async def test_parts_are_at_most_64_mib(bench: Bench) -> None:
    """A pack of 70 MiB lies in two parts, which open as one."""
    files = [make_file(seed, pixel_length=35 * 1024 * 1024) for seed in range(2)]
    batches = [await store_batch(bench.landing, [file]) for file in files]
    await bench.handlers.pack_planned(received(planned(batches, copies("cloud-a"))))
    sealed = bench.bus.last().sealed
    assert [part.number for part in sealed.parts] == [1, 2]
    assert sealed.parts[0].size == 64 * 1024 * 1024
    assert sum(part.size for part in sealed.parts) == sealed.size
    assert (await bench.open(bench.bus.last())).count(files[1][0][-1000:]) == 1


async def test_a_key_folder_that_can_not_be_written_is_waited_for(tmp_path: Path) -> None:
    """No dead letter: an operator has to make the key-encryption key, or the folder writable."""
    (tmp_path / "kek").write_text("no folder")
    keys = StoredStudyKeys(FilesystemStore(tmp_path / "keys"), FileKeyEncryptionKeys(tmp_path / "kek"))
    with pytest.raises(KeysAway):
        await keys.obtain("id", "hospital")


async def test_a_lost_key_encryption_key_is_not_made_anew(bench: Bench) -> None:
    """Neither for a known study nor for a new one: a new key would hide that what was sealed can't be opened."""
    batch = await store_batch(bench.landing, [make_file(1)])
    await bench.handlers.pack_planned(received(planned([batch], copies("cloud-a"))))
    (bench.folder / "kek" / "hospital.kek").unlink()
    another = planned([batch], copies("cloud-a"), pack_id="next").model_copy(update={"study_ref": "another"})
    for plan in (planned([batch], copies("cloud-a"), pack_id="next"), another):
        with pytest.raises(KeysAway):
            await bench.handlers.pack_planned(received(plan, "next"))
    assert not (bench.folder / "kek" / "hospital.kek").exists()
