"""What a request for commitment speaks of, and what the bus has not heard of yet."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from contracts.events import CommitmentRequested
from services.dicom_ingest.adapters.spooled import batch_files, may_name
from shared.observability import logger

log = logger("dicom_ingest.commitment")


class Untold:
    """Who asks for commitment means what he was acknowledged before, and that may still be on its way (PS3.4 annex J).

    The bus hears of it first, whichever process of this spool took it: else the ledger might answer for an older
    version of the instance, which another had sent. What arrives later is waited for no longer.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        #: By request: the batches that held some of its instances when it was first looked at, and are still here.
        self._waits: dict[tuple[str, datetime], set[Path]] = {}

    def ready(self, asked: Iterable[CommitmentRequested]) -> set[str]:
        """Of all the requests that the bus has not heard of, the ids of those which it may hear of now."""
        known, self._waits = self._waits, {}
        may_be_told = set()
        for request in asked:
            key = request.commitment_id, request.requested
            left = {path for path in known[key] if path.exists()} if key in known else self._found(request)
            self._waits[key] = left
            may_be_told.update([] if left else [request.commitment_id])
        return may_be_told

    def _found(self, request: CommitmentRequested) -> set[Path]:
        named = frozenset(uid for each in request.referenced for uid in each.sop_instance_uids)
        found = {path for path in batch_files(self._root) if may_name(path, named)}
        if found:
            log.info("commitment-held", ref=request.commitment_id, batches=len(found))
        return found
