"""Give room in the middle of a file back to the disk (fallocate(2)), for which Python has no call."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import cast

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02

Fallocate = Callable[[int, int, int, int], int]


@cache
def _fallocate() -> Fallocate | None:
    """The C library's function; None where it has none."""
    library = ctypes.CDLL(None)
    try:
        found = library.fallocate64
    except AttributeError:
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return cast(Fallocate, found)


def punch(handle: int, start: int, end: int) -> None:
    """Make bytes ``start`` to ``end`` a hole that reads as zeros; where the file system cannot, they stay."""
    fallocate = _fallocate()
    if fallocate is not None and start < end:
        fallocate(handle, _KEEP_SIZE | _PUNCH_HOLE, start, end - start)
