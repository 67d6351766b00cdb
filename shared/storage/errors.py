"""What can go wrong with a blob.

::

    RetryLater
    ├── StoreUnavailable   not reachable, or not answering in time
    ├── StoreRefused       it answers, and says no: credentials, rights, no such bucket, read-only
    └── StoreFull          no space left, or over quota
    Unprocessable
    ├── BlobMissing        nothing lies at the key
    ├── BlobExists         other bytes lie at the key already
    ├── BlobCorrupt        the bytes are not those of the digest given
    ├── BlobTooLarge       more than 64 MiB
    └── BadKey             not a key of the port's alphabet

The text of an error is its fixed reason; the key is a field of its own.
"""

from shared.errors import RetryLater, Unprocessable


class StoreUnavailable(RetryLater):
    """The store does not answer, or breaks off."""

    def __init__(self, reason: str = "store-unavailable") -> None:
        super().__init__(reason)


class StoreRefused(RetryLater):
    """The store answers and refuses for a reason that only an operator can lift."""

    def __init__(self) -> None:
        super().__init__("store-refused")


class StoreFull(RetryLater):
    """The store has no room; nothing of the value was kept."""

    def __init__(self) -> None:
        super().__init__("store-full")


class BlobError(Unprocessable):
    """The base of what is wrong with one blob; ``key`` is opaque by the rules of storage keys."""

    reason_code = "blob-error"

    def __init__(self, key: str) -> None:
        super().__init__(self.reason_code)
        self.key = key


class BlobMissing(BlobError):
    """Nothing lies at the key."""

    reason_code = "blob-missing"


class BlobExists(BlobError):
    """The key is taken by other bytes; keys are write-once."""

    reason_code = "blob-exists"


class BlobCorrupt(BlobError):
    """The bytes do not have the SHA-256 that was given with them."""

    reason_code = "blob-corrupt"


class BlobTooLarge(BlobError):
    """More than MAX_BLOB bytes; a longer value is put in parts."""

    reason_code = "blob-too-large"


class BadKey(BlobError):
    """Not a key: empty, too long, or with a character or segment that the port does not allow."""

    reason_code = "bad-key"
