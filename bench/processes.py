"""What processes took of the machine, with those that they started."""

import os
from contextlib import suppress
from pathlib import Path

from bench.support import MB

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and those that it started and that still run."""
    started: list[str] = []
    with suppress(FileNotFoundError):  # a process that has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError):  # a thread that has ended
                started += (task / "children").read_text().split()
    return [pid, *(each for child in started for each in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its own so far, with the kernel's for them and that of those that ended."""
    return sum(map(_ticks, family(pid))) / _TICKS


def _ticks(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):  # one that ended since it was listed: its parent has its time
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return 0


def peak_mb(pid: int) -> float:
    """The largest resident sizes of a process and its own so far, together, MB."""
    return sum(map(_peak_kib, family(pid))) * 1024 / MB


def _peak_kib(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return 0
