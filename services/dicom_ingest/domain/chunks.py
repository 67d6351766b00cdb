"""Bytes that come piece by piece, as a file to read from once."""

import hashlib
import io
from collections.abc import Iterable


class Chunks(io.RawIOBase):
    """An iterator of chunks as a file to read from once; ``digest`` takes note of all of it."""

    def __init__(self, chunks: Iterable[bytes | bytearray | memoryview], digest: "hashlib._Hash | None" = None) -> None:
        self._chunks = iter(chunks)
        self._digest = digest
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill as much of ``buffer`` as one chunk gives."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
            if self._digest is not None:
                self._digest.update(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @property
    def sha256(self) -> str | None:
        """The digest of what was read, None when none was asked for."""
        return self._digest.hexdigest() if self._digest else None
