"""A circuit breaker: callers wait while something is away, one asks, nobody is lost."""

import asyncio

import pytest

from shared.breaker import Breaker, Interrupted


class Away(Exception):
    """Not there."""


class Thing:
    """Answers when it is ``up``; counts what it is asked."""

    def __init__(self, up: bool = False, lies: bool = False) -> None:
        self.up, self.worked, self.probed, self.told = up, 0, 0, 0
        probe = self.tell if lies else self.probe
        self.breaker = Breaker(target="thing", away=Away, probe=probe, first=0.005, longest=0.01)

    async def work(self) -> str:
        self.worked += 1
        if not self.up:
            raise Away
        return "done"

    async def probe(self) -> None:
        self.probed += 1
        if not self.up:
            raise Away

    async def tell(self) -> None:
        self.told += 1

    def call(self) -> "asyncio.Task[str]":
        return asyncio.create_task(self.breaker.call(self.work, on_open=self.tell))


async def test_a_call_to_what_is_there_just_happens() -> None:
    thing = Thing(up=True)
    assert await thing.call() == "done"
    assert (thing.probed, thing.told) == (0, 0)


async def test_callers_wait_for_what_is_away_and_each_is_told_once() -> None:
    """While it is away only the probe asks; then every call is made."""
    thing = Thing()
    calls = [thing.call() for _ in range(5)]
    await asyncio.sleep(0.1)
    tried = thing.worked
    await asyncio.sleep(0.1)
    assert thing.worked == tried <= 5
    assert thing.breaker.is_open
    thing.up = True
    assert await asyncio.gather(*calls) == ["done"] * 5
    assert (thing.told, thing.breaker.is_open) == (5, False)


async def test_a_probe_that_lies_does_not_end_the_waiting() -> None:
    """What answers a probe and fails at work is away again; the pauses keep growing."""
    thing = Thing(lies=True)
    call = thing.call()
    await asyncio.sleep(0.1)
    assert not call.done()
    assert thing.worked < 25
    thing.up = True
    assert await call == "done"


async def test_other_errors_are_the_callers() -> None:
    thing = Thing(up=True)

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await thing.breaker.call(fail)
    assert not thing.breaker.is_open


async def test_a_cancelled_caller_leaves_the_others_waiting() -> None:
    """Even the one whose turn it was to ask."""
    thing = Thing()
    first, second = thing.call(), thing.call()
    await asyncio.sleep(0.05)
    first.cancel()
    thing.up = True
    assert await second == "done"


async def test_an_interrupt_ends_the_waiting_of_all() -> None:
    thing = Thing()
    calls = [thing.call() for _ in range(3)]
    await asyncio.sleep(0.02)
    thing.breaker.interrupt()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in ended] == [Interrupted] * 3
