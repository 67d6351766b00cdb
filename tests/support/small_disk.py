"""A disk of a few tens of MiB that a test fills and empties."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MIB = 1 << 20


class SmallDisk:
    """A tmpfs mounted at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free(self) -> int:
        """Bytes that may still be written."""
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes free, whatever others write meanwhile."""
        with self._filler.open("ab") as file:
            while (much := self.free - leave) > 0:
                with suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), much)

    def empty(self) -> None:
        """Take the filler away."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of ``size`` bytes; skips the test where none may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "causeway-test", str(path)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        with suppress(OSError):
            subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)
