"""Ended associations as small files beside the batches, until the bus has heard of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from contracts.events import AssociationEnded
from services.dicom_ingest.adapters.batch_file import DRAFT
from shared.errors import CausewayError, RetryLater
from shared.messaging.threads import in_thread
from shared.observability import logger

ENDED, DAMAGED = ".ended", ".ended-damaged"
_PAUSE = 2.0

log = logger("dicom_ingest.farewells")


class FarewellFiles:
    """One file each: a killed process forgets none, though a power cut may (an end proves nothing about a study)."""

    def __init__(self, directory: Path, tell: Callable[[AssociationEnded, str | None], Awaitable[None]]) -> None:
        self._directory = directory
        self._tell = tell
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def keep(self, event: AssociationEnded, traceparent: str | None) -> None:
        """Write it down; called on the association's thread."""
        path = self._directory / f"{event.association_id}{ENDED}"
        draft = path.with_suffix(DRAFT)
        try:
            draft.write_text(f"{traceparent or ''}\n{event.model_dump_json()}")
            draft.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            log.warning("farewell-lost", association_id=event.association_id)
        self._wake()

    async def run(self) -> None:
        """Tell the bus, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            kept = await in_thread(lambda: sorted(self._directory.glob(f"*{ENDED}")))
            if await self._all_told(kept):
                await self._news.wait()
            else:
                await asyncio.sleep(_PAUSE)

    def _wake(self) -> None:
        if self._loop is not None:
            # The loop may have ended while the last associations are cut.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._news.set)

    async def _all_told(self, kept: list[Path]) -> bool:
        for path in kept:
            try:
                traceparent, _, told = (await in_thread(path.read_text)).partition("\n")
                await self._tell(AssociationEnded.model_validate_json(told), traceparent or None)
            except RetryLater as error:
                log.warning("farewell-waits", association_id=path.stem, reason=error.reason)
                return False
            except (ValueError, CausewayError) as error:
                # What a power cut has left empty, or nobody can be told, keeps the others from nothing.
                log.error("farewell-damaged", association_id=path.stem, error=type(error).__name__)
                path.rename(path.with_suffix(DAMAGED))
            else:
                path.unlink(missing_ok=True)
        return True
