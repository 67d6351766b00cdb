"""The ledger under anything that may happen to batches that overlap, held against all that was sent to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

import pytest
from sqlalchemy import Connection, select

from contracts.events import PackPlanned
from contracts.formats.left_out import read_numbers
from services.tier_routing.adapters import tables, views
from services.tier_routing.domain.given_up import GivenUp
from services.tier_routing.domain.identity import arrival_of
from services.tier_routing.domain.ledger import Verdict, evaluate
from services.tier_routing.domain.matching import Arrival
from tests.fuzz.budget import FACTOR
from tests.integration.tier_routing.conftest import Site, site, sqlite_ledger  # noqa: F401 - fixtures
from tests.integration.tier_routing.test_another_plan import BOTH, ONE, PLAIN, WITHOUT_A, WITHOUT_B
from tests.integration.tier_routing.test_commitment import ask, request
from tests.unit.tier_routing.makers import NOON, damaged, instance, manifest, policy, verified

SEEDS, STEPS = range(max(1, int(12 * FACTOR))), 50
INSTANCES = range(1, 7)
POLICIES = {text: policy(text) for text in (PLAIN, WITHOUT_A, WITHOUT_B, BOTH, ONE)}

#: What may happen, and how often.
CHANCES = {
    "store": 8,
    "close": 5,
    "prove": 1,
    "prove_one": 7,
    "sweep": 4,
    "ask": 3,
    "damage": 1,
    "refuse": 3,
    "replan": 1,
    "replan_one": 3,
    "change_policy": 3,
}
TROUBLE = {"damage", "refuse", "change_policy"}


@dataclass(frozen=True)
class Sent:
    """A batch: its instances by number, what the rules see of it, the policies before it came."""

    numbers: list[int]
    arrival: Arrival
    after: int


@dataclass
class World:
    """A ledger, what was sent to it and what it told."""

    site: Site
    random: Random
    policies: list[str] = field(default_factory=lambda: [PLAIN])
    batches: dict[str, Sent] = field(default_factory=dict)
    packs: dict[str, PackPlanned] = field(default_factory=dict)
    heard_of: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    secured: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    asked: int = 0
    troubled: bool = False

    async def live(self, steps: int) -> None:
        """Anything happens."""
        self.site.text = self.policies[-1]
        for _ in range(steps):
            (action,) = self.random.choices(list(CHANCES), list(CHANCES.values()))
            self.troubled |= action in TROUBLE
            await getattr(self, action)()
            await self.look()

    async def end_well(self) -> None:
        """From now on all goes well: what is refused stays so, everything else comes to its end."""
        for _ in range(14):
            if not self.waiting():
                return
            await self.close()
            await self.look()
            for pack_id in self.sound():
                await self.prove_pack(pack_id)
            self.site.now += 700
            await self.sweep()
            await self.look()
        assert self.waiting() == set(), "for ever"

    def waiting(self) -> set[str]:
        """The batches that are not secured and archived, but those of which a part was refused."""
        unfit = {batch.batch_id for pack_id in self.refused for batch in self.packs[pack_id].batches}
        return set(self.batches) - unfit - (self.secured & self.archived)

    async def store(self) -> None:
        name = f"batch-{len(self.batches)}"
        numbers = self.random.choices(INSTANCES, k=self.random.randrange(1, 5))
        modality, size, ae = (self.random.choice(each) for each in (("CT", "SR"), (10, 400), ("CT1", "CT2")))
        content = [instance(number, modality=modality) for number in numbers]
        arrival = arrival_of(manifest(*content, batch=name, ae=ae), NOON)
        self.batches[name] = Sent(numbers, arrival, len(self.policies) - 1)
        await self.site.store(name, *content, size=size, ae=ae)

    async def close(self) -> None:
        self.site.now += 10
        await self.site.ledger.close_due(self.site.moment)

    async def prove(self) -> None:
        """Every copy of a pack that is due."""
        if pack_id := self.choice(self.sound()):
            await self.prove_pack(pack_id)

    async def prove_one(self) -> None:
        if pack_id := self.choice(self.sound()):
            due = (await self.verdicts())[pack_id].due
            await self.prove_pack(pack_id, self.choice({copy.target for copy in due}))

    async def damage(self) -> None:
        """A copy is found damaged, proven or not."""
        if pack_id := self.choice(self.sound()):
            self.site.now += 1
            self.heard_of.add(pack_id)
            verdict = (await self.verdicts())[pack_id]
            copy = self.random.choice([*verdict.proven, *verdict.due])
            key = self.site.key(self.packs[pack_id], copy.target, copy.generation)
            await self.site.hear(damaged(key, self.site.now))

    async def refuse(self) -> None:
        """Sealing gives up a pack of which nothing was heard so far."""
        if pack_id := self.choice({*self.sound()} - self.heard_of):
            self.refused.add(pack_id)
            about = ("encryption", "imaging.pack.planned.v1", "Unprocessable", "input-digest", None, pack_id, NOON)
            await self.site.ledger.give_up(GivenUp(len(self.refused), *about))

    async def replan(self) -> None:
        await self.site.replan()

    async def replan_one(self) -> None:
        if name := self.choice(self.batches):
            await self.site.replan(batch_id=name)

    async def change_policy(self) -> None:
        self.site.text = self.random.choice(list(POLICIES))
        self.policies.append(self.site.text)

    async def sweep(self) -> None:
        self.site.now += self.random.choice([1, 70, 130])
        await self.site.ledger.sweep(self.site.moment)

    async def ask(self) -> None:
        """Somebody wants to delete instances, and asks about each."""
        for number in INSTANCES:
            self.asked += 1
            name = f"asked-{self.asked}"
            await ask(self.site, request(f"1.2.3.{number}", name=name, transaction=f"1.9.{self.asked}"))

    def choice(self, names: Iterable[str]) -> str | None:
        return self.random.choice(found) if (found := sorted(names)) else None

    def sound(self) -> list[str]:
        """The packs that somebody seals and stores."""
        return sorted(set(self.packs) - self.refused)

    async def prove_pack(self, pack_id: str, target: str | None = None) -> None:
        """The due copies of a pack, or the one in a target, are proven."""
        self.heard_of.add(pack_id)
        for copy in (await self.verdicts())[pack_id].due:
            if target in (None, copy.target):
                self.site.now += 1
                key = self.site.key(self.packs[pack_id], copy.target, copy.generation)
                await self.site.hear(verified(key, self.site.now))

    async def verdicts(self) -> dict[str, Verdict]:
        return await self.site.database.read(_verdicts)

    async def look(self) -> None:
        """Everything that was told since the last look must be true."""
        await self.site.ledger.decide_commitments(self.site.moment)
        told = await self.site.told()
        verdicts = await self.verdicts() if told else {}
        secured = {pack_id for pack_id, verdict in verdicts.items() if verdict.secured}
        archived = {pack_id: verdict for pack_id, verdict in verdicts.items() if verdict.archived}
        for each in told:
            if each.fact == "pack.planned":
                self.see_planned(PackPlanned(**each.data))
            elif each.fact == "batch.secured":
                self.see_held(self.batches[each.data["batch_id"]].numbers, secured)
                self.secured.add(each.data["batch_id"])
            elif each.fact == "batch.archived":
                self.see_archived(each.data["batch_id"], archived)
                self.archived.add(each.data["batch_id"])
            elif each.fact == "commitment.decided":
                done = [outcome["sop_instance_uids"] for outcome in each.data["outcomes"] if not outcome["reason"]]
                self.see_held([int(uid.rsplit(".", 1)[1]) for uids in done for uid in uids], secured)

    def see_planned(self, plan: PackPlanned) -> None:
        known = self.packs.setdefault(plan.pack_id, plan)
        assert (known.batches, known.left_out) == (plan.batches, plan.left_out), "another content under the same name"
        if known is plan:
            names = [batch.batch_id for batch in plan.batches]
            numbers = [number for name in names for number in self.held(plan.pack_id, name)]
            assert numbers, "a pack of nothing"
            assert self.troubled or len(numbers) == len(set(numbers)), "twice in one pack"
            assert not self.archived & set(names), "the bytes may be gone"

    def see_held(self, numbers: Iterable[int], pack_ids: Iterable[str]) -> None:
        """Each of these instances lies in one of these packs."""
        held = {
            number
            for pack_id in pack_ids
            for batch in self.packs[pack_id].batches
            for number in self.held(pack_id, batch.batch_id)
        }
        assert set(numbers) <= held, "not held"

    def see_archived(self, name: str, verdicts: dict[str, Verdict]) -> None:
        """Each instance of a batch lies in one of these packs: in one of its own, or where it is wanted."""
        sent = self.batches[name]
        own = [number for pack_id in verdicts for number in self.held(pack_id, name)]
        assert len(own) == len(set(own)), "twice in the packs of one batch"
        others = set(sent.numbers) - set(own)
        texts = {*self.policies[sent.after :]}
        wanted = [{copy.target for copy in POLICIES[text].decide(sent.arrival).copies} for text in texts]
        proven = {pack_id: {copy.target for copy in verdict.proven} for pack_id, verdict in verdicts.items()}
        self.see_held(others, [pack_id for pack_id, there in proven.items() if any(one <= there for one in wanted)])

    def held(self, pack_id: str, name: str) -> list[int]:
        """The instances of a batch that lie in a pack."""
        left_out = [read_numbers(text) for batch, text in self.packs[pack_id].contents if batch.batch_id == name]
        entries = list(enumerate(self.batches[name].numbers, start=1))
        return [number for out in left_out for entry, number in entries if entry not in out]


def _verdicts(connection: Connection) -> dict[str, Verdict]:
    closed = select(tables.packs).where(tables.packs.c.pack_id.is_not(None))
    return {pack.pack_id: evaluate(views.view_of(connection, pack)) for pack in connection.execute(closed).all()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
async def test_whatever_happens_what_is_told_is_true_and_nothing_waits_for_ever(site: Site, seed: int):  # noqa: F811
    world = World(site, Random(seed))
    await world.live(STEPS)
    await world.end_well()
