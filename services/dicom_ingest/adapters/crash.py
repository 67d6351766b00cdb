"""Named points at which a test can make the process die as if it were killed: ``CAUSEWAY_CRASH_AT=step:n``."""

import os
import threading
from collections import Counter


class CrashPoints:
    """Ends the process without any cleaning up when ``step`` is passed for the n-th time."""

    def __init__(self, crash_at: str | None = None) -> None:
        step, _, count = (crash_at or "").partition(":")
        self._step, self._count = step, int(count or 1)
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, step: str) -> None:
        """State that ``step`` was reached."""
        if step != self._step:
            return
        with self._lock:
            self._passed[step] += 1
            if self._passed[step] == self._count:
                os._exit(137)
