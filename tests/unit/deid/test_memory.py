"""Memory does not grow with the number of instances, nor beyond a bound with what is in one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MB = 1_000_000


def taken(case: str, number: int = 0) -> int:
    """Bytes that ``case`` takes in a process of its own (memory.py)."""
    command = [sys.executable, "-m", "tests.unit.deid.memory", case, str(number)]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def test_each_instance_takes_little_more_than_its_place() -> None:
    """A header as a tree takes twenty-five times its size: only lines of text are kept, and those in files."""
    assert taken("slices", 1500) < 6 * MB


@pytest.mark.parametrize(
    ("case", "number"), [("frames", 27_000), ("values", 0), ("text", 0), ("frame", 0), ("deflated", 0)]
)
def test_no_instance_takes_more_than_the_service_has_room_for(case: str, number: int) -> None:
    """Each as large as it may be: more would be withheld."""
    assert taken(case, number) < 120 * MB
