"""Ctrl-C while ``causeway deidentify`` works: one line, 130, and nothing that is not whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support.instances import as_file, make_instances

BASIC = "format: causeway.profile/1\nname: basic\nversion: '1'\nlegal_basis: gdpr_pseudonymised\n"
FILES = 160


@dataclass
class Work:
    """The command on a folder with more files than it has read by then, in a process group of its own."""

    folder: Path
    jobs: int

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def start(self) -> "subprocess.Popen[str]":
        words = ["deidentify", str(self.folder / "in"), "-o", str(self.out), "--project", "p", "--jobs", str(self.jobs)]
        words += ["--profile", str(self.folder / "profile.yaml"), "--keys", str(self.folder / "keys")]
        words += ["--map", str(self.folder / "map.json"), "--quarantine", str(self.folder / "held.txt")]
        # Who runs tests in the background may have SIGINT ignored, and what starts here would inherit that.
        return subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def results(self) -> list[Path]:
        return sorted(path for path in self.out.rglob("*") if path.is_file())


def children(pid: int) -> list[str]:
    """The command lines of the processes that ``pid`` started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if place.joinpath("stat").read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(place.joinpath("cmdline").read_text())
        except OSError:  # it has ended
            continue
    return found


def until(holds: Callable[[], bool], running: "subprocess.Popen[str] | None" = None, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert running is None or running.poll() is None, running.communicate() if running else ""
        assert time.monotonic() < deadline
        time.sleep(0.002)


def is_alone(group: int) -> bool:
    """Whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def work(jobs: int, tmp_path: Path) -> Work:
    found = Work(tmp_path, jobs)
    (tmp_path / "in").mkdir()
    (tmp_path / "profile.yaml").write_text(BASIC)
    for image in make_instances(FILES):
        (tmp_path / "in" / f"{image.InstanceNumber}.dcm").write_bytes(as_file(image))
    return found


def begins(_: Work, running: "subprocess.Popen[str]") -> bool:
    """Whether the first of the processes that do the work was started this moment."""
    return any("forkserver" in line for line in children(running.pid))


def is_under_way(work: Work, _: "subprocess.Popen[str]") -> bool:
    return any(path.suffix == ".dcm" for path in work.results())


@pytest.mark.parametrize(
    ("jobs", "when"),
    [(2, begins), (2, is_under_way), (1, is_under_way)],
    ids=["at the start", "under way", "in one process"],
)
@pytest.mark.parametrize("whole_group", [True, False], ids=["ctrl-c", "the command alone"])
def test_an_interrupt_is_one_line_and_leaves_nothing_half(
    work: Work, when: Callable[[Work, "subprocess.Popen[str]"], bool], whole_group: bool
) -> None:
    """The terminal sends it to every process of the group; others may send it to the command alone."""
    running = work.start()
    until(lambda: when(work, running), running)
    (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
    said, told = running.communicate(timeout=60)
    lines = [line for line in told.splitlines() if not line.startswith("made the key")]
    assert (running.returncode, said) == (130, ""), told
    assert lines == ["error: interrupted: what is out is clean, and the same command goes on where this one stopped"]
    until(lambda: is_alone(running.pid), within=10)
    results = work.results()
    assert len(results) < FILES
    assert {path.suffix for path in results} <= {".dcm"}
    assert not [path.name for path in work.folder.iterdir() if "map" in path.name or "held" in path.name]
    for path in results:
        assert len(dcmread(path).PixelData) > 0
    again = work.start()
    again.communicate(timeout=120)
    assert (again.returncode, len(work.results())) == (0, FILES)
