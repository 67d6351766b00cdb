"""The ledger under anything that may happen to batches that overlap, held against all that was sent to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
from sqlalchemy import Connection, select

from contracts.events import PackPlanned
from contracts.formats.left_out import read_numbers
from services.tier_routing.adapters import tables, views
from services.tier_routing.domain.given_up import GivenUp
from services.tier_routing.domain.ledger import Verdict, evaluate
from tests.fuzz.budget import FACTOR
from tests.integration.tier_routing.conftest import Site, site, sqlite_ledger, sqlite_template  # noqa: F401 - the fixtures
from tests.integration.tier_routing.test_another_plan import BOTH, ONE, PLAIN, WITHOUT_A, WITHOUT_B
from tests.integration.tier_routing.test_commitment import ask, request
from tests.unit.tier_routing.makers import NOON, damaged, instance, verified

SEEDS, STEPS = range(max(1, int(12 * FACTOR))), 40
INSTANCES = range(1, 7)
POLICIES = (PLAIN, WITHOUT_A, WITHOUT_B, BOTH, ONE)

#: What may happen, and how often.
PEACE = {"store": 6, "close": 3, "wait": 3, "prove": 4, "prove_one": 4, "sweep": 3, "ask": 2}
TROUBLE = {**PEACE, "damage": 2, "refuse": 2, "replan": 1, "replan_one": 1, "change_policy": 1}


@dataclass
class World:
    """A ledger, what was sent to it and what it told."""

    site: Site
    random: Random
    chances: Mapping[str, int]
    #: The instances of each batch, and the plan of each pack as it was told first.
    batches: dict[str, list[int]] = field(default_factory=dict)
    packs: dict[str, PackPlanned] = field(default_factory=dict)
    heard_of: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    secured: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    asked: int = 0

    async def live(self, steps: int) -> None:
        """Anything happens."""
        for _ in range(steps):
            (action,) = self.random.choices(list(self.chances), list(self.chances.values()))
            await getattr(self, action)()
            await self.look()

    async def end_well(self) -> None:
        """All goes well from now on: what is refused stays so, everything else comes to its end."""
        for _ in range(14):
            self.site.now += 700
            await self.close()
            await self.look()
            for pack_id in self.sound():
                await self.prove_pack(pack_id)
            await self.sweep()
            await self.look()
        unfit = {batch.batch_id for pack_id in self.refused for batch in self.packs[pack_id].batches}
        assert set(self.batches) - unfit <= self.archived & self.secured, "waits for ever"

    async def store(self) -> None:
        name = f"batch-{len(self.batches)}"
        numbers = self.random.choices(INSTANCES, k=self.random.randrange(1, 5))
        modality, size, ae = (self.random.choice(each) for each in (("CT", "CT", "SR"), (10, 400), ("CT1", "CT2")))
        self.batches[name] = numbers
        await self.site.store(name, *(instance(each, modality=modality) for each in numbers), size=size, ae=ae)

    async def close(self) -> None:
        self.site.now += 10
        await self.site.ledger.close_due(self.site.moment)

    async def wait(self) -> None:
        self.site.now += self.random.choice([1, 30, 70, 130])

    async def prove(self) -> None:
        """Every copy of a pack that is due."""
        if pack_id := self.choice(self.sound()):
            await self.prove_pack(pack_id)

    async def prove_one(self) -> None:
        if pack_id := self.choice(self.sound()):
            due = (await self.verdicts())[pack_id].due
            await self.prove_pack(pack_id, *self.random.sample([copy.target for copy in due], k=min(1, len(due))))

    async def damage(self) -> None:
        """A copy is damaged, or said to be before anything else is heard of it."""
        if pack_id := self.choice(self.sound()):
            verdict = (await self.verdicts())[pack_id]
            copy = self.random.choice([*verdict.proven, *verdict.due])
            self.site.now += 1
            self.heard_of.add(pack_id)
            key = self.site.key(self.packs[pack_id], copy.target, copy.generation)
            await self.site.hear(damaged(key, self.site.now))

    async def refuse(self) -> None:
        """Sealing gives up a pack of which nothing was heard so far."""
        if pack_id := self.choice(set(self.sound()) - self.heard_of):
            self.refused.add(pack_id)
            about = ("encryption", "imaging.pack.planned.v1", "Unprocessable", "input-digest", None, pack_id, NOON)
            await self.site.ledger.give_up(GivenUp(len(self.refused), *about))

    async def replan(self) -> None:
        await self.site.replan()

    async def replan_one(self) -> None:
        if name := self.choice(self.batches):
            await self.site.replan(batch_id=name)

    async def change_policy(self) -> None:
        self.site.text = self.random.choice(POLICIES)

    async def sweep(self) -> None:
        await self.site.ledger.sweep(self.site.moment)

    async def ask(self) -> None:
        """Somebody wants to delete an instance."""
        self.asked += 1
        number = self.random.choice(INSTANCES)
        await ask(self.site, request(f"1.2.3.{number}", name=f"asked-{self.asked}", transaction=f"1.9.{self.asked}"))

    def choice(self, names: Iterable[str]) -> str | None:
        return self.random.choice(found) if (found := sorted(names)) else None

    def sound(self) -> list[str]:
        """The packs that somebody seals and stores."""
        return sorted(set(self.packs) - self.refused)

    async def prove_pack(self, pack_id: str, *targets: str) -> None:
        """The due copies of a pack, or those in these targets, are proven."""
        self.heard_of.add(pack_id)
        for copy in (await self.verdicts())[pack_id].due:
            if not targets or copy.target in targets:
                self.site.now += 1
                key = self.site.key(self.packs[pack_id], copy.target, copy.generation)
                await self.site.hear(verified(key, self.site.now))

    async def verdicts(self) -> dict[str, Verdict]:
        return await self.site.database.read(_verdicts)

    def held(self, pack_id: str) -> list[int]:
        """The instances that lie in a pack."""
        return [
            number
            for batch, left_out in self.packs[pack_id].contents
            for entry, number in enumerate(self.batches[batch.batch_id], start=1)
            if entry not in read_numbers(left_out)
        ]

    async def look(self) -> None:
        """Everything that was told since the last look must be true."""
        await self.site.ledger.decide_commitments(self.site.moment)
        told = await self.site.told()
        verdicts = await self.verdicts() if told else {}
        for each in told:
            if each.fact == "pack.planned":
                self.see_planned(PackPlanned(**each.data))
            elif each.fact == "batch.secured":
                self.see_kept(self.batches[each.data["batch_id"]], [p for p in verdicts if verdicts[p].secured])
                self.secured.add(each.data["batch_id"])
            elif each.fact == "batch.archived":
                self.see_kept(self.batches[each.data["batch_id"]], [p for p in verdicts if verdicts[p].archived])
                self.archived.add(each.data["batch_id"])
            elif each.fact == "commitment.decided":
                committed = [outcome["sop_instance_uids"] for outcome in each.data["outcomes"] if not outcome["reason"]]
                numbers = [int(uid.rsplit(".", 1)[1]) for uids in committed for uid in uids]
                self.see_kept(numbers, [p for p in verdicts if verdicts[p].secured])

    def see_planned(self, plan: PackPlanned) -> None:
        known = self.packs.setdefault(plan.pack_id, plan)
        assert (known.batches, known.left_out) == (plan.batches, plan.left_out), "another content under the same name"
        if known is plan:
            assert self.held(plan.pack_id), "a pack of nothing"
            assert not self.archived & {batch.batch_id for batch in plan.batches}, "its bytes may be gone"

    def see_kept(self, numbers: Iterable[int], pack_ids: Iterable[str]) -> None:
        """Each of these instances lies in one of these packs."""
        assert set(numbers) <= {number for pack_id in pack_ids for number in self.held(pack_id)}, "not kept"


def _verdicts(connection: Connection) -> dict[str, Verdict]:
    closed = select(tables.packs).where(tables.packs.c.pack_id.is_not(None))
    return {pack.pack_id: evaluate(views.view_of(connection, pack)) for pack in connection.execute(closed).all()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
async def test_whatever_happens_what_is_told_is_kept_and_nothing_waits_for_ever(site: Site, seed: int):  # noqa: F811
    site.text = PLAIN
    world = World(site, Random(seed), TROUBLE)
    await world.live(STEPS)
    await world.end_well()
    assert world.archived
