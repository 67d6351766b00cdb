"""Requests for commitment and decisions on them as small files beside the incarnations of the spool.

``<id>.asked`` until the bus has heard of it, and of what was stored before (``untold.py``), ``<id>.decided`` until the
peer has, then ``<id>.reported`` or ``<id>.undelivered``. Every process of the host sees them: none is inherited,
and a lock says who reports.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from contracts.events import CommitmentDecided, CommitmentRequested
from services.dicom_ingest.adapters.batch_file import DRAFT, sync_directory
from services.dicom_ingest.adapters.spool import COMMITMENTS
from services.dicom_ingest.adapters.untold import Untold
from shared.observability import logger

ASKED, DECIDED, REPORTED, UNDELIVERED, DAMAGED = ".asked", ".decided", ".reported", ".undelivered", ".damaged"

log = logger("dicom_ingest.commitment")


class CommitmentFiles:
    """The files in a folder of the spool's root."""

    def __init__(self, root: Path) -> None:
        self.folder = root / COMMITMENTS
        self._untold = Untold(root)

    def keep(self, request: CommitmentRequested, traceparent: str | None) -> None:
        """Write a request down; one that was reported before is to be reported again, for as long as a new one."""
        name = request.commitment_id
        ended = self._ended(name)
        if ended is not None:
            path, decision = ended
            made = {"decided": datetime.now(UTC), "requested": request.requested, "peer": request.peer}
            self._write(name, DECIDED, decision.model_copy(update=made).model_dump_json())
            path.unlink(missing_ok=True)
        elif not self._path(name, DECIDED).exists():
            self._write(name, ASKED, f"{traceparent or ''}\n{request.model_dump_json()}")

    def _ended(self, name: str) -> tuple[Path, CommitmentDecided] | None:
        """What is not to be reported any longer, and where it lies."""
        for path in (self._path(name, state) for state in (REPORTED, UNDELIVERED)):
            with suppress(FileNotFoundError):
                decision = self._read(path, path.read_text())
                if decision is not None:
                    return path, decision
        return None

    def asked(self) -> list[tuple[CommitmentRequested, str | None]]:
        """What the bus has not heard of and may hear of now; a file that is none is put aside."""
        found = []
        for path in sorted(self.folder.glob(f"*{ASKED}")):
            try:
                traceparent, _, told = path.read_text().partition("\n")
                found.append((CommitmentRequested.model_validate_json(told), traceparent or None))
            except FileNotFoundError:
                continue
            except ValueError:
                self._put_aside(path)
        ready = self._untold.ready(request for request, _ in found)
        return [each for each in found if each[0].commitment_id in ready]

    def told(self, commitment_id: str) -> None:
        """The bus has heard of it."""
        self._path(commitment_id, ASKED).unlink(missing_ok=True)

    def decide(self, decision: CommitmentDecided) -> None:
        """Write a decision down, unless it was reported since it was asked for; elsewhere that may be once more."""
        name = decision.commitment_id
        ended = self._ended(name)
        if self._path(name, DECIDED).exists() or (ended is not None and decision.requested <= ended[1].requested):
            return
        self._write(name, DECIDED, decision.model_dump_json())
        if ended is not None:
            ended[0].unlink(missing_ok=True)

    def decided(self) -> list[str]:
        """The ids of what is to be reported."""
        return sorted(path.stem for path in self.folder.glob(f"*{DECIDED}"))

    def peer_of(self, commitment_id: str) -> str:
        """What stands for the peer that a decision is for; empty when it is done, or damaged."""
        path, decision = self._path(commitment_id, DECIDED), None
        with suppress(FileNotFoundError):
            decision = self._read(path, path.read_text())
        return f"{decision.calling_ae}\x1f{decision.peer or ''}" if decision is not None else ""

    @contextmanager
    def hold(self, commitment_id: str) -> Iterator[CommitmentDecided | None]:
        """The decision under a lock; None when another has it or it is done."""
        path = self._path(commitment_id, DECIDED)
        try:
            file = path.open("r")
        except FileNotFoundError:
            yield None
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            # Another may have reported it and let go between our opening and our locking.
            yield self._read(path, file.read()) if path.exists() else None

    def _read(self, path: Path, text: str) -> CommitmentDecided | None:
        try:
            return CommitmentDecided.model_validate_json(text)
        except ValueError:
            self._put_aside(path)
            return None

    def reported(self, commitment_id: str) -> None:
        """The peer knows; kept for a while, for one that asks again."""
        self._end(commitment_id, REPORTED)

    def give_up(self, commitment_id: str) -> None:
        """Nobody tries any longer; kept for a person to see, and for a peer that asks again."""
        self._end(commitment_id, UNDELIVERED)

    def _end(self, commitment_id: str, state: str) -> None:
        path = self._path(commitment_id, state)
        self._path(commitment_id, DECIDED).rename(path)
        os.utime(path)

    def forget(self, age: float) -> None:
        """Remove what was reported long ago."""
        for path in self.folder.glob(f"*{REPORTED}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - age:
                    path.unlink()

    def undelivered(self) -> int:
        """How many were given up."""
        return sum(1 for _ in self.folder.glob(f"*{UNDELIVERED}"))

    def _path(self, name: str, state: str) -> Path:
        return self.folder / f"{name}{state}"

    def _write(self, name: str, state: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.folder / f"{name}-{secrets.token_hex(4)}{DRAFT}"
        try:
            with draft.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._path(name, state))
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(self.folder)
        sync_directory(self.folder.parent)

    def _put_aside(self, path: Path) -> None:
        log.error("commitment-damaged", ref=path.stem)
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(DAMAGED))
