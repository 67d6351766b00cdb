"""Values for unit tests."""

from contracts.events import Batch, Blob

_BLOB = Blob(store="landing", key="key", size=1, sha256="0" * 64)
BATCH = Batch(batch_id="batch", manifest=_BLOB, headers=_BLOB, archive=_BLOB, instances=1, size=1)
