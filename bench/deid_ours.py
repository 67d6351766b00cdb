"""``python -m bench.deid_ours IN OUT [OPTION…]``: our engine on files, one process, as ``causeway deidentify`` runs it.

That all files are read for what their studies name before the first is cleaned is counted.

``headers`` as an option leaves out the question whether an object of its kind may go out, and the second look: headers
alone are measured, as the other tools clean them. ``second_look`` adds the second look.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.processes import cpu_seconds
from cli.deidentify.one import Recipe, Task
from cli.deidentify.results import Outcome
from cli.deidentify.work import alone
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile

HEADERS, SECOND_LOOK = "headers", "second_look"


def task_of(out: Path, words: list[str]) -> Task:
    """What is done with each file."""
    options = frozenset(Option(word) for word in words if word not in (HEADERS, SECOND_LOOK))
    task = Recipe(out / ".keys", "measured", Profile("measured", options=options), out).task()
    if HEADERS in words:
        project = replace(task.project, refuse=lambda elements: None)
        return replace(task, project=project, looks_again=SECOND_LOOK in words)
    return task


def _spent(task: Task) -> float:
    """Processor seconds so far, with those of the process that looks at pictures (in ticks of the kernel)."""
    looks = task.project.profile.has(Option.CLEAN_PIXEL_DATA)
    return cpu_seconds(os.getpid()) if looks else time.process_time()


def main() -> None:
    """The first file warms up and is not counted."""
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    task = task_of(out, sys.argv[3:])
    first, *files = sorted(source.glob("*.dcm"))
    list(alone([first], task))
    started, spent = time.perf_counter(), _spent(task)
    results = [each for done in alone(files, task) for each in done.results]
    seconds, cpu = time.perf_counter() - started, _spent(task) - spent
    task.close()
    failed = [each.reason for each in results if each.outcome not in (Outcome.RELEASED, Outcome.WITHHELD)]
    if failed:
        raise SystemExit(failed[0])
    released = sum(each.outcome is Outcome.RELEASED for each in results)
    if HEADERS in sys.argv and any(each.outcome is not Outcome.RELEASED for each in results):
        raise SystemExit("headers were withheld: nothing that could be compared")
    sys.stdout.write(json.dumps({"files": len(files), "seconds": seconds, "cpu": cpu, "released": released}) + "\n")


if __name__ == "__main__":
    main()
