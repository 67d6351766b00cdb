"""The bytes of the pixels and behind them, searched as they lie."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from services.deid.domain.looking.search import LONG, Patterns

_CHUNK = 1024 * 1024
_PRINTABLE = bytes(1 if 0x20 <= each < 0x7F else 0 for each in range(256))
_RUN = b"\1" * LONG
#: Where a byte is a letter, a word that it is the higher byte of is from _LETTERS on, and less than _ABOVE.
_LETTERS, _ABOVE = 0x2000, 0x8000
_ORDERS = ("<u2", ">u2")


def in_rest(start: int, file: BinaryIO, patterns: Patterns) -> Iterator[tuple[int, str]]:
    """Where in ``file`` from ``start`` on any text or date stands, and of which kind it is.

    Only stretches with a run of letters are searched: twelve-bit images have none.
    """
    if not patterns.long:
        return
    overlap = max(map(len, patterns.long)) + 2 & ~1  # words stay words
    file.seek(start)
    at, before = start, b""
    while chunk := file.read(_CHUNK):
        window = before + chunk
        if _has_letters(window):
            lower = window.lower()
            for needle in patterns.long:
                if (found := _place(needle, lower)) >= 0:
                    yield at - len(before) + found, patterns.spelled[needle]
        at += len(chunk)
        before = window[-overlap:]


def _has_letters(window: bytes) -> bool:
    """Whether there is a run of them: it has two whole words side by side, whatever the byte order."""
    for order in _ORDERS:
        words = np.frombuffer(window, order, len(window) // 2)
        letters = words - np.uint16(_LETTERS) < _ABOVE - _LETTERS
        if not (letters[1:] & letters[:-1]).any():
            return False
    return _RUN in window.translate(_PRINTABLE)


def _place(needle: bytes, text: bytes) -> int:
    """Where ``needle`` stands first; digits have to be a number of their own. -1 when it does nowhere."""
    found = text.find(needle)
    while found >= 0 and needle.isdigit() and not _stands_alone(text, found, len(needle)):
        found = text.find(needle, found + 1)
    return found


def _stands_alone(text: bytes, at: int, length: int) -> bool:
    around = text[max(at - 1, 0) : at] + text[at + length : at + length + 1]
    return not any(each in b"0123456789." for each in around)
