"""Memory is given out in turn, never exceeded, and never all held by those that are slow."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from services.replication.adapters.budget import Budget, SharedBudget

SLOW = 0.05


@pytest.fixture
def order() -> Iterator[list[int]]:
    """In which order the holders of a budget had their turn."""
    yield []


async def test_a_budget_is_given_out_in_turn_and_never_exceeded(order: list[int]) -> None:
    """A large request is not overtaken for ever by small ones; what is larger than all takes all."""
    budget, held, most = Budget(100), 0, 0

    async def holder(number: int, size: int) -> None:
        nonlocal held, most
        async with budget.hold(size):
            held += min(size, 100)
            most = max(most, held)
            order.append(number)
            await asyncio.sleep(0.01)
            held -= min(size, 100)

    await asyncio.gather(*(holder(n, size) for n, size in enumerate([60, 60, 500, 10, 10])))
    assert (order, most) == ([0, 1, 2, 3, 4], 100)


class Targets:
    """Parts of several targets in one budget of two: each is put when its event is set."""

    def __init__(self, size: int = 2) -> None:
        self.budget = SharedBudget(size, slow_after=SLOW, reserve=1)
        self.begun: list[str] = []
        self.most = self.held = 0
        self.gates: dict[str, asyncio.Event] = {}

    def put(self, target: str) -> "asyncio.Task[None]":
        """Begin to put one part."""
        return asyncio.create_task(self.budget.spend(target, 1, lambda: self._work(target)))

    async def _work(self, target: str) -> None:
        self.begun.append(target)
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            await self.gates.setdefault(target, asyncio.Event()).wait()
        finally:
            self.held -= 1

    def open(self, target: str) -> None:
        """Let the parts of a target arrive, from now on at once."""
        self.gates.setdefault(target, asyncio.Event()).set()

    async def become_slow(self, *targets: str) -> "list[asyncio.Task[None]]":
        """Parts of these targets hang for longer than is allowed."""
        tasks = [self.put(target) for target in targets]
        await asyncio.sleep(2 * SLOW)
        return tasks


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("slow", [("a",), ("a", "b"), ("a", "b", "c", "d")])
async def test_slow_targets_hold_up_no_other(slow: tuple[str, ...]) -> None:
    """However many there are, and whoever was first."""
    targets = Targets()
    targets.open("onsite")
    hanging = [targets.put(name) for name in slow]
    await asyncio.sleep(0)
    for _ in range(20):
        async with asyncio.timeout(10 * SLOW):
            await targets.put("onsite")
    assert targets.most <= 2
    await _end(*hanging)


async def test_who_was_found_slow_holds_up_nobody_for_a_moment() -> None:
    targets = Targets()
    targets.open("onsite")
    hanging = await targets.become_slow("a", "b", "c")
    await targets.put("onsite")
    for _ in range(50):
        async with asyncio.timeout(SLOW / 2):
            await targets.put("onsite")
    await _end(*hanging)


async def test_slow_targets_keep_what_they_hold_while_nobody_else_waits() -> None:
    """To begin again costs a slow link what it has sent."""
    targets = Targets()
    hanging = await targets.become_slow("a", "b")
    assert targets.begun == ["a", "b"]
    await _end(*hanging)


async def test_a_part_that_was_given_up_is_begun_again_and_arrives() -> None:
    """In the slow ones' turn, where nobody takes its bytes again."""
    targets = Targets()
    targets.open("onsite")
    a, b = await targets.become_slow("a", "b")
    await targets.put("onsite")
    assert (targets.held, targets.begun.count("b")) == (1, 1)
    targets.open("a")
    await a
    await asyncio.sleep(3 * SLOW)
    await targets.put("onsite")
    assert targets.begun.count("b") == 2
    targets.open("b")
    await b


async def test_a_target_that_is_fast_again_is_slow_no_more() -> None:
    targets = Targets()
    tasks = await targets.become_slow("a")
    targets.open("a")
    await asyncio.gather(*tasks, targets.put("a"))
    targets.gates["a"].clear()
    hanging = [targets.put("a"), targets.put("a")]
    await asyncio.sleep(0.01)
    assert targets.held == 2
    await _end(*hanging)


async def test_bytes_come_back_from_whoever_fails_or_is_cancelled() -> None:
    targets = Targets()

    async def fail() -> None:
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):
            await targets.budget.spend("a", 1, fail)
    await _end(*[targets.put("b") for _ in range(5)])
    targets.open("c")
    await asyncio.gather(*(targets.put("c") for _ in range(5)))
    assert targets.most <= 2


async def test_an_error_of_the_work_is_not_taken_for_a_part_that_was_given_up() -> None:
    async def fail() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Targets().budget.spend("a", 1, fail)


async def test_one_part_always_fits_however_little_there_is() -> None:
    targets = Targets(size=1)
    targets.open("a")
    await targets.budget.spend("a", 500, lambda: targets._work("a"))
    hanging = await targets.become_slow("b")
    targets.open("b")
    await asyncio.gather(*hanging)
