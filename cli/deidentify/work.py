"""All inputs through the engine, in several processes, with a bounded number of them under way."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path

from cli.deidentify.one import Recipe, Task, deidentify_all
from cli.deidentify.results import Done
from shared.observability.logs import configure_logs

#: Files that a process is given at a time.
BATCH = 16


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(paths: Iterable[Path], recipe: Recipe, jobs: int) -> Iterator[Done]:
    """What becomes of ``paths``, some at a time, in their order."""
    batches = _batches(paths)
    if jobs == 1:
        task = recipe.task()
        try:
            yield from (deidentify_all(batch, task) for batch in batches)
        finally:
            task.close()
        return
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        yield from _in_order(pool, batches, recipe, 2 * jobs)


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    remaining = iter(paths)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _in_order(pool: ProcessPoolExecutor, batches: Iterable[list[Path]], recipe: Recipe, most: int) -> Iterator[Done]:
    """At most ``most`` batches are under way."""
    waiting: deque[Future[Done]] = deque()
    for batch in batches:
        waiting.append(pool.submit(_work, batch, recipe))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _work(batch: list[Path], recipe: Recipe) -> Done:
    return deidentify_all(batch, _task(recipe))


@cache
def _task(recipe: Recipe) -> Task:
    """Made once in each process; what it logs is no part of the output."""
    configure_logs("cli", "WARNING")
    return recipe.task()
