"""Room on the disk: what is free, less what the pipeline still needs for what is already here."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from services.dicom_ingest.ports import SpoolRefused

_RECHECK = 0.25


class DiskRoom:
    """Refuses while free < reserve + factor x bytes waiting in the spool, and recovers alone."""

    def __init__(self, directory: Path, reserve: int, factor: float, waiting: Callable[[], int]) -> None:
        self._directory = directory
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

    async def ready(self) -> None:
        """The same, as a readiness check."""
        self.check()

    def free(self) -> int:
        """Bytes that an ordinary process may still write."""
        stat = os.statvfs(self._directory)
        return stat.f_bavail * stat.f_frsize
