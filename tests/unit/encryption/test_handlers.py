"""What encryption does with each event. The ports' fakes and the real buffer pass one suite."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.events import Blob, Event, KeyDestroyed, PackRecalled, PackSealed, Part, Sealed, Sections
from contracts.formats.keys import FileKeyEncryptionKeys
from contracts.formats.manifest import Manifest
from services.encryption.adapters.buffer import SealingBuffer
from services.encryption.adapters.keys import StoredStudyKeys
from services.encryption.adapters.sealer import Sealer
from services.encryption.domain.orders import Receipt, SealOrder, planned_orders, study_key_id
from services.encryption.domain.plaintext import Pack, assemble
from services.encryption.domain.sealing import repaired
from services.encryption.handlers import SealHandlers
from shared.errors import AlreadyDone
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.storage import MemoryStore
from tests.support.packs import copies, planned
from tests.unit.encryption.samples import BATCH
from tests.unit.encryption.test_sealing import make_batch

SITE_KEY = SiteKey(bytes(32))
[ORDER] = planned_orders(SITE_KEY, "cause", planned([BATCH], copies("a")))


class RememberedSealings:
    """The ports ``Buffer`` and ``Sealing`` in memory: receipts without bytes."""

    def __init__(self) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.damage: frozenset[int] = frozenset()
        self.released: set[str] = set()
        self.destroyed: list[str] = []

    async def receipt(self, order: SealOrder) -> Receipt | None:
        return self.receipts.get(order.sealed_id)

    async def broken(self, receipt: Receipt) -> frozenset[int]:
        return frozenset() if receipt.sealed.sealed_id in self.released else self.damage

    async def tidy(self, receipt: Receipt) -> None:
        """There is never anything else."""

    async def release(self, sealed_id: str) -> None:
        self.released.add(sealed_id)

    async def seal(self, order: SealOrder, pack: Pack) -> Receipt:
        return self.receipts.setdefault(order.sealed_id, _receipt(order))

    async def repair(self, order: SealOrder, pack: Pack, receipt: Receipt, broken: frozenset[int]) -> Receipt:
        self.damage = frozenset()
        self.receipts[order.sealed_id] = repaired(receipt, dict.fromkeys(broken, "new"))
        return self.receipts[order.sealed_id]

    async def sealings(self, pack_id: str) -> list[Receipt]:
        return [receipt for receipt in self.receipts.values() if receipt.sealed.pack_id == pack_id]

    async def obtain(self, study_key_id: str, domain: str) -> tuple[Blob, bytes]:
        raise NotImplementedError

    async def destroy(self, study_key_id: str) -> str:
        self.destroyed.append(study_key_id)
        return f"study-keys/{study_key_id}"

    async def lose(self) -> None:
        """What a test does to the first part."""
        self.damage = frozenset({1})


class StoredSealings(SealingBuffer, Sealer):
    """The adapters, on a store in memory."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        SealingBuffer.__init__(self, self.store)
        Sealer.__init__(
            self, buffer=self, study_keys=StoredStudyKeys(MemoryStore(), FileKeyEncryptionKeys(folder / "kek"))
        )

    async def lose(self) -> None:
        for key in [blob.key async for blob in self.store.list("parts")]:
            await self.store.delete(key)


def _receipt(order: SealOrder) -> Receipt:
    sealed = Sealed(
        sealed_id=order.sealed_id,
        pack_id=order.pack_id,
        form=order.form,
        key_domain=order.key_domain,
        study_key=Blob(store="keys", key="key", size=1),
        instances=1,
        size=1,
        manifest_sha256="0" * 64,
        sections=Sections(manifest=1, headers=1, archive=1),
        parts=(Part(number=1, key="old", size=1, sha256="0" * 64),),
    )
    return Receipt(generation=1, sealed=sealed, envelope="")


PACK = assemble("pack", [make_batch(1)])


@pytest.fixture(params=["memory", "stores"])
def sealings(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The fake and the adapters."""
    return RememberedSealings() if request.param == "memory" else StoredSealings(tmp_path)


async def test_what_is_sealed_has_a_receipt_for_ever(sealings: Any) -> None:
    assert await sealings.receipt(ORDER) is None
    receipt = await sealings.seal(ORDER, PACK)
    assert await sealings.seal(ORDER, PACK) == receipt == await sealings.receipt(ORDER)
    assert await sealings.broken(receipt) == frozenset()


async def test_a_lost_part_is_broken_until_it_is_made_again(sealings: Any) -> None:
    receipt = await sealings.seal(ORDER, PACK)
    await sealings.lose()
    assert await sealings.broken(receipt) == {1}
    again = await sealings.repair(ORDER, PACK, receipt, frozenset({1}))
    assert (again.generation, await sealings.broken(again)) == (2, frozenset())
    assert await sealings.receipt(ORDER) == again


async def test_a_released_buffer_is_not_broken(sealings: Any) -> None:
    receipt = await sealings.seal(ORDER, PACK)
    for _ in range(2):
        await sealings.release(ORDER.sealed_id)
    assert await sealings.broken(receipt) == frozenset()
    assert await sealings.receipt(ORDER) == receipt


class Desk:
    """The handlers over fakes."""

    def __init__(self) -> None:
        self.sealings, self.opened = RememberedSealings(), 0
        self.said: list[PackSealed] = []
        self.told: list[KeyDestroyed] = []
        self.ids: list[str] = []
        self.handlers = SealHandlers(
            site_key=SITE_KEY,
            inputs=self,
            buffer=self.sealings,
            sealing=self.sealings,
            study_keys=self.sealings,
            bus=self,
        )

    async def open(self, order: SealOrder) -> Pack:
        self.opened += 1
        return Pack(Manifest(form="identified", id="pack", instances=()), b"", "", _receipt(order).sealed.sections, ())

    async def publish(self, event: Event, *, id: str) -> int:  # noqa: A002
        if isinstance(event, KeyDestroyed):
            self.told.append(event)
            return 0
        assert isinstance(event, PackSealed)
        self.said.append(event)
        self.ids.append(id)
        return len(self.said)

    async def hear(self, run: int = 0, *domains: str) -> None:
        wanted = [copy for domain in domains or ("hospital",) for copy in copies("a", domain=domain)]
        event = planned([BATCH], wanted, run=run)
        await self.handlers.pack_planned(Received(id=f"plan-{run}", data=event, time=datetime.now(UTC)))


async def test_a_repeat_opens_no_input() -> None:
    desk = Desk()
    await desk.hear()
    await desk.hear()
    assert (desk.opened, len(desk.said)) == (1, 2)


async def test_each_key_domain_is_told_by_itself() -> None:
    desk = Desk()
    await desk.hear(0, "one", "two")
    assert [event.sealed.key_domain for event in desk.said] == ["one", "two"]


async def test_only_another_run_looks_for_damage() -> None:
    """A repeat of the same run is answered from the receipt; the sweep's run repairs first."""
    desk = Desk()
    await desk.hear()
    await desk.sealings.lose()
    await desk.hear()
    assert desk.said[-1].sealed.parts[0].key == "old"
    await desk.hear(run=1)
    assert (desk.said[-1].sealed.parts[0].key, desk.said[-1].run, desk.opened) == ("new", 1, 2)


async def test_a_replay_after_a_repair_has_the_id_that_it_had() -> None:
    desk = Desk()
    await desk.hear()
    await desk.sealings.lose()
    await desk.hear(run=1)
    await desk.hear()
    assert desk.ids[0] == desk.ids[2] != desk.ids[1]


def recalled(release: int = 0, pack_id: str = "pack") -> PackRecalled:
    """A de-identified pack is called back."""
    return PackRecalled(
        recall_id="recall", pack_id=pack_id, source_pack_id="source", project="research", study_ref="study",
        profile="weak", profile_version="1", release=release, key_domains=("one", "two"), recalled=datetime.now(UTC),
    )  # fmt: skip


async def test_a_recall_destroys_the_key_of_the_release_in_every_domain_and_says_so() -> None:
    """And lets what is left of the pack in the buffer go."""
    desk = Desk()
    await desk.hear()
    await desk.handlers.pack_recalled(Received(id="r", data=recalled(), time=datetime.now(UTC)))
    wanted = [study_key_id(SITE_KEY, domain, "deidentified", "research", "study", 0) for domain in ("one", "two")]
    assert desk.sealings.destroyed == wanted
    assert [told.study_key for told in desk.told] == [f"study-keys/{each}" for each in wanted]
    assert desk.sealings.released == set(desk.sealings.receipts)


def test_each_release_has_a_study_key_of_its_own_and_the_first_that_of_before() -> None:
    """What was sealed by earlier versions of this code is destroyed under the name that it has."""
    names = [study_key_id(SITE_KEY, "one", "deidentified", "research", "study", number) for number in range(3)]
    assert len(set(names)) == 3
    assert names[0] == SITE_KEY.token("study-key", "one", "deidentified", "research", "study")


async def test_nothing_is_sealed_under_a_destroyed_key_any_more(tmp_path: Path) -> None:
    """Nor is there ever another key of that name; to destroy it again changes nothing."""
    keys = StoredStudyKeys(MemoryStore(), FileKeyEncryptionKeys(tmp_path / "kek"))
    await keys.obtain("id", "one")
    for _ in range(2):
        assert await keys.destroy("id") == "study-keys/id"
    with pytest.raises(AlreadyDone, match="study-key-destroyed"):
        await keys.obtain("id", "one")
    await keys.obtain("other", "one")
