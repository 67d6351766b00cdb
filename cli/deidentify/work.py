"""All inputs through the engine, in several processes, with a bounded number of them under way."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path

from cli.deidentify.one import Recipe, Task, deidentify
from cli.deidentify.results import Result

#: Files that a process is given at a time.
BATCH = 16


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(paths: Iterable[Path], recipe: Recipe, jobs: int) -> Iterator[Result]:
    """What becomes of each of ``paths``, in their order."""
    if jobs == 1:
        task = recipe.task()
        for path in paths:
            yield deidentify(path, task)
        return
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        yield from _in_order(pool, paths, recipe, 2 * jobs)


def _in_order(pool: ProcessPoolExecutor, paths: Iterable[Path], recipe: Recipe, most: int) -> Iterator[Result]:
    """At most ``most`` batches are under way."""
    waiting: deque[Future[list[Result]]] = deque()
    remaining = iter(paths)
    while batch := list(islice(remaining, BATCH)):
        waiting.append(pool.submit(_work, batch, recipe))
        if len(waiting) > most:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _work(batch: list[Path], recipe: Recipe) -> list[Result]:
    task = _task(recipe)
    return [deidentify(path, task) for path in batch]


@cache
def _task(recipe: Recipe) -> Task:
    """Made once in each process."""
    return recipe.task()
