"""What files say, read again when they change; a change that is wrong changes nothing."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from shared.observability import logger, metrics

log = logger("causeway.watched")
T = TypeVar("T")

#: Seconds after which files that could not be read are tried again: they may be right, and the disk or the mount not.
_AGAIN = 5.0


class Watched(Generic[T]):
    """A value made of files; ``kind`` names it in logs and metrics."""

    def __init__(self, kind: str, paths: Iterable[Path], load: Callable[[], T]) -> None:
        """Load it for the first time; whatever ``load`` raises then is raised."""
        self._kind = kind
        self._paths = tuple(paths)
        self._load = load
        self._lock = threading.Lock()
        self._seen = self._marks()
        self._again: float | None = None
        self._value = load()

    def get(self) -> T:
        """The value as the files say it now, or as they last said it rightly."""
        with self._lock:
            marks = self._marks()
            if marks != self._seen or (self._again is not None and time.monotonic() >= self._again):
                self._seen = marks
                self._reload()
            return self._value

    def _reload(self) -> None:
        try:
            self._value = self._load()
        except (OSError, ValueError) as error:
            self._again = time.monotonic() + _AGAIN if isinstance(error, OSError) else None
            metrics().count("causeway_reloads_total", kind=self._kind, outcome="refused")
            log.error("reload-refused", kind=self._kind, error=type(error).__name__, line=_line(error))
        else:
            self._again = None
            metrics().count("causeway_reloads_total", kind=self._kind, outcome="loaded")
            log.info("reloaded", kind=self._kind)

    def _marks(self) -> tuple[tuple[int, ...] | None, ...]:
        """What differs once a file was written, replaced, or given another owner or mode."""
        return tuple(map(_mark, self._paths))


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size


def _line(error: Exception) -> int | None:
    """The first line that is wrong, where the error tells it; the text itself stays out of the log."""
    problems = getattr(error, "problems", ())
    return problems[0].line if problems else None
