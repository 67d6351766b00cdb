"""The tasks of a service end when it stops, also one that has lost its cancellation."""

import asyncio

import pytest

from shared.service import life


async def answered(after: asyncio.Event) -> None:
    """Goes on for ever with answers that it waits for, as nats-py waits for them."""
    while True:
        answer = asyncio.get_running_loop().create_future()
        after.set()
        asyncio.get_running_loop().call_soon(lambda future=answer: future.done() or future.set_result(None))
        await asyncio.wait_for(answer, 60)
        await asyncio.sleep(0)


async def deaf(lost: list[int]) -> None:
    """Loses its first cancellation."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost.append(1)
            if len(lost) > 1:
                raise


@pytest.mark.timeout(30)
async def test_a_task_that_lost_its_cancellation_is_cancelled_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "CANCEL_AGAIN", 0.05)
    lost: list[int] = []
    tasks = [asyncio.create_task(deaf(lost)), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    await life._end(tasks)
    assert (len(lost), [task.cancelled() for task in tasks]) == (2, [True, True])


@pytest.mark.timeout(30)
async def test_a_task_that_waits_for_answers_all_the_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "CANCEL_AGAIN", 0.05)
    for pauses in range(20):
        asked = asyncio.Event()
        task = asyncio.create_task(answered(asked))
        await asked.wait()
        for _ in range(pauses):
            await asyncio.sleep(0)
        await life._end([task])
        assert task.cancelled()


async def test_nothing_to_end_is_no_trouble() -> None:
    await life._end([])
