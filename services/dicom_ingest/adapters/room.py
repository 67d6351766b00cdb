"""Room on the disk: what is free, less what the pipeline still needs for what is already here; and room in time."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from services.dicom_ingest.ports import SpoolRefused

_RECHECK = 0.25
#: How long an answer waits at most while landing is behind, seconds: senders slow down, and nobody gives up.
_LONGEST_BRAKE = 0.02


class DiskRoom:
    """Refuses while free < reserve + factor x bytes waiting in the spool, and recovers alone."""

    def __init__(
        self,
        directory: Path,
        reserve: int,
        factor: float,
        waiting: Callable[[], int],
        behind: Callable[[], int],
        most_behind: int,
    ) -> None:
        """``behind`` tells the bytes that are not landed, of which ``most_behind`` slow nobody down."""
        self._directory = directory
        self._behind = behind
        self._most_behind = most_behind
        self._reserve = reserve
        self._factor = factor
        self._waiting = waiting
        self._checked = 0.0
        self._enough = True

    def check(self) -> None:
        """SpoolRefused while the disk is low; looks again at most every quarter of a second."""
        now = time.monotonic()
        if now - self._checked > _RECHECK:
            self._checked = now
            self._enough = self.free() >= self._reserve + self._factor * self._waiting()
        if not self._enough:
            raise SpoolRefused("disk-low")

    def brake(self) -> None:
        """Wait a little, the longer the more is not landed: its reader gets less of the processors than receivers."""
        excess = self._behind() / self._most_behind - 1
        if excess > 0:
            time.sleep(_LONGEST_BRAKE * min(1.0, excess))

    async def ready(self) -> None:
        """The same, as a readiness check."""
        self.check()

    def free(self) -> int:
        """Bytes that an ordinary process may still write."""
        stat = os.statvfs(self._directory)
        return stat.f_bavail * stat.f_frsize
