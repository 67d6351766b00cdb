"""What the store in a folder does with a file: write it durably, read all that was asked for, keep its digest."""

import contextlib
import os
from pathlib import Path

from shared.storage.port import Bytes

_ATTRIBUTE = "user.sha256"


class StagedFile:
    """A value that has no name yet. It must be discarded, also once it was linked to its name."""

    def __init__(self, path: Path) -> None:
        """Create ``path``; OSError, as from every method."""
        self.path = path
        self.size = 0
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def append(self, data: Bytes) -> None:
        """Write all of ``data`` behind what is there."""
        rest = memoryview(data)
        self.size += len(rest)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def keep_digest(self, sha256: str) -> None:
        """Note the SHA-256 with the file, where the file system can."""
        if hasattr(os, "setxattr"):
            with contextlib.suppress(OSError):
                os.setxattr(self._handle, _ATTRIBUTE, sha256.encode())

    def sync(self) -> None:
        """Return when it is durable."""
        os.fsync(self._handle)

    def discard(self) -> None:
        """Close it and take its first name away."""
        os.close(self._handle)
        self.path.unlink(missing_ok=True)


def kept_digest(path: Path) -> str | None:
    """The SHA-256 that was noted with a file, if any was."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(path, _ATTRIBUTE).decode()
    except OSError:
        return None


def pread(handle: int, start: int, length: int) -> bytes:
    """``length`` bytes from ``start``, fewer only at the end of the file."""
    piece = os.pread(handle, length, start)
    if len(piece) in (0, length):
        return piece
    pieces = [piece]
    while piece:
        start, length = start + len(piece), length - len(piece)
        piece = os.pread(handle, length, start)
        pieces.append(piece)
    return b"".join(pieces)


def sync_folder(folder: Path) -> None:
    """Make names created or removed in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
