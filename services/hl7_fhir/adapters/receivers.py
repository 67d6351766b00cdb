"""receivers.yaml as it is now: read again when it changes; a change that is wrong changes nothing."""

import threading
from collections.abc import Mapping
from pathlib import Path

from services.hl7_fhir.domain.outgoing.receivers import Receiver
from services.hl7_fhir.domain.outgoing.receivers_file import read_receivers
from shared.observability import logger, metrics

log = logger("hl7_fhir.receivers")


class ReceiversFile:
    """The receivers that the file at ``path`` names; none without a path, or while there is no file."""

    def __init__(self, path: Path | None) -> None:
        """Read it for the first time; DocumentRefused, OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._mark()
        self._value: Mapping[str, Receiver] = {}
        self._value = self._read()

    def get(self) -> Mapping[str, Receiver]:
        """By name, as the file says it now, or as it last said it rightly."""
        if self._path is None:
            return self._value
        with self._lock:
            mark = self._mark()
            if mark != self._seen:
                self._seen = mark
                self._reload()
            return self._value

    def _read(self) -> Mapping[str, Receiver]:
        if self._path is None or not (self._path.exists() or self._value):
            return {}
        return read_receivers(self._path.read_text(), self._path.name)

    def _reload(self) -> None:
        try:
            self._value = self._read()
        except (OSError, ValueError) as error:
            metrics().count("causeway_reloads_total", kind="receivers", outcome="refused")
            problems = getattr(error, "problems", ())
            line = problems[0].line if problems else None
            log.error("reload-refused", kind="receivers", error=type(error).__name__, line=line)
        else:
            metrics().count("causeway_reloads_total", kind="receivers", outcome="loaded")
            log.info("reloaded", kind="receivers")

    def _mark(self) -> tuple[int, int, int] | None:
        """What differs once the file was written or replaced."""
        try:
            stat = self._path.stat() if self._path else None
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ino, stat.st_size) if stat else None
