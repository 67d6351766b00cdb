"""Procedure steps as small files beside the incarnations of the spool (docs/operations/mpps.md).

``<step>-<number>-<digest>.report`` until the bus has heard of it. Then ``<step>.step`` says where the step stands: it
is written before the report goes, so that the newest report, else that file, always tells it.
"""

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from services.dicom_ingest.adapters.batch_file import DRAFT, sync_directory
from services.dicom_ingest.adapters.spool import STEPS
from services.dicom_ingest.domain.step import Step
from services.dicom_ingest.domain.step_report import Report, decode, encode, step_of
from shared.observability import logger

REPORT, STEP, DAMAGED = ".report", ".step", ".damaged"
TURN, TELLING = "turn.lock", "telling.lock"
#: Reports that are read at once; each is of some megabytes at most.
_AT_ONCE = 16

log = logger("dicom_ingest.steps")


class StepFiles:
    """The files in a folder of the spool's root."""

    def __init__(self, root: Path) -> None:
        self.folder = root / STEPS
        self._turn = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Whoever is inside is alone in reading and keeping; OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._turn, (self.folder / TURN).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def known(self, step_ref: str) -> Step | None:
        """The step after its newest report."""
        for path in sorted(self.folder.glob(f"{step_ref}-*{REPORT}"), reverse=True):
            if (report := self._report(path)) is not None:
                return report.step
        path = self.folder / f"{step_ref}{STEP}"
        try:
            return step_of(json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            self._put_aside(path)
            return None

    def keep(self, report: Report) -> None:
        """Return when the report is durable; OSError."""
        self._write(f"{report.step_ref}-{report.name}{REPORT}", encode(report))
        sync_directory(self.folder.parent)

    @contextmanager
    def telling(self) -> Iterator[bool]:
        """Whether nobody else tells."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / TELLING).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def waiting(self) -> list[Report]:
        """Some of what the bus has not heard of, oldest first; of one step always in its order."""
        found = sorted(self.folder.glob(f"*{REPORT}"))[:_AT_ONCE]
        return [report for path in found if (report := self._report(path)) is not None]

    def told(self, report: Report) -> None:
        """The bus has heard of the report."""
        with self.turn():
            self._write(f"{report.step_ref}{STEP}", json.dumps(asdict(report.step)).encode())
            (self.folder / f"{report.step_ref}-{report.name}{REPORT}").unlink(missing_ok=True)

    def old(self, age: float) -> list[str]:
        """The steps on which nothing was reported for ``age`` seconds."""
        found = []
        for path in self.folder.glob(f"*{STEP}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - age:
                    found.append(path.stem)
        return found

    def forget(self, step_ref: str) -> None:
        """Let go of a step."""
        (self.folder / f"{step_ref}{STEP}").unlink(missing_ok=True)

    def _report(self, path: Path) -> Report | None:
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            self._put_aside(path)
            return None

    def _write(self, name: str, content: bytes) -> None:
        draft = self.folder / f"{secrets.token_hex(8)}{DRAFT}"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self.folder / name)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(self.folder)

    def _put_aside(self, path: Path) -> None:
        log.error("step-damaged", ref=path.stem.partition("-")[0])
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(DAMAGED))
