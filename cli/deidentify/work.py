"""All inputs through the engine, in several processes, with a bounded number of them under way."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from cli.deidentify.one import Recipe, Task, deidentify_all
from cli.deidentify.results import Done
from cli.deidentify.studies import Studies, learn_all
from shared.observability.logs import configure_logs

#: Files that a process is given at a time.
BATCH = 16
#: Seconds that processes have to put away what they have in hand, before they are killed.
_PUTTING_AWAY = 5.0

Some = TypeVar("Some")
Came = TypeVar("Came")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(paths: Iterable[Path], recipe: Recipe, jobs: int) -> Generator[Done]:
    """What becomes of ``paths``, some at a time, in their order; all of them are read before the first is cleaned.

    Whoever is interrupted, or goes on no further, closes it: what is under way is given up, and nothing is left of it.
    """
    if jobs == 1:
        task = recipe.task()
        try:
            yield from alone(paths, task)
        finally:
            task.close()
        return
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_end_when_told) as pool:
        try:
            studies = Studies()
            for learnt in _in_order(pool, learn_all, _batches(paths), recipe, 2 * jobs):
                studies.note(learnt)
            recipe = replace(recipe, issuers=studies.issuers(recipe.issuers.default))
            yield from _in_order(pool, deidentify_all, studies.batches(BATCH), recipe, 2 * jobs)
        except (KeyboardInterrupt, GeneratorExit):
            _give_up(pool)
            raise


def alone(paths: Iterable[Path], task: Task) -> Iterator[Done]:
    """The same in this process."""
    studies, project = Studies(), task.project
    for batch in _batches(paths):
        studies.note(learn_all(batch, task))
    issuers = studies.issuers(project.issuers.default)
    if issuers != project.issuers:
        task = replace(task, project=replace(project, issuers=issuers))
    yield from (deidentify_all(batch, task) for batch in studies.batches(BATCH))


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    remaining = iter(paths)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _in_order(
    pool: ProcessPoolExecutor, step: Callable[[Some, Task], Came], batches: Iterable[Some], recipe: Recipe, most: int
) -> Iterator[Came]:
    """At most ``most`` batches are under way."""
    waiting: deque[Future[Came]] = deque()
    for batch in batches:
        with _uninterrupted():
            waiting.append(pool.submit(_work, step, batch, recipe))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let this process hear of Ctrl-C afterwards, and processes that start here not at all: this one ends them.

    A terminal sends SIGINT to all. What starts here inherits that it is blocked, through the process that forks them.
    """
    if not _hears_signals() or not hasattr(signal, "pthread_sigmask"):  # another system than Unix
        yield
        return
    heard: list[int] = []
    # Blocked for this thread alone: another one may take the signal, for which Python calls the handler in this one.
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


def _hears_signals() -> bool:
    """Whether this is the thread in which Python handles them."""
    return threading.current_thread() is threading.main_thread()


def _give_up(pool: ProcessPoolExecutor) -> None:
    """End the processes, each when it has put away what it has in hand; a second Ctrl-C changes nothing."""
    if _hears_signals():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    pool.shutdown(wait=False, cancel_futures=True)
    processes = multiprocessing.active_children()
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _PUTTING_AWAY
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()


def _end_when_told() -> None:
    """In each process: let SIGTERM end it as an exception does, so that what it has in hand is put away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def _work(step: Callable[[Some, Task], Came], batch: Some, recipe: Recipe) -> Came:
    try:
        return step(batch, _task(recipe))
    except SystemExit:
        os._exit(1)  # the pool would have it as this batch's result, and go on with the next one


@cache
def _task(recipe: Recipe) -> Task:
    """Made once in each process; what it logs is no part of the output."""
    configure_logs("cli", "WARNING")
    return recipe.task()
