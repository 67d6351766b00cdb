"""Where the entropy-coded data of a JPEG scan end (ITU-T T.81 annexes C, F and H).

Only lengths are decoded: how many bits each Huffman code takes, and the bits that follow it. What stands behind the
last of them, before a restart marker or at the end, belongs to no sample.
"""

import re
from array import array
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from services.deid.domain.dataset import Unreadable

_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_STUFFED, _PLAIN = b"\xff\0", b"\xff"
#: A code that the table does not have takes more bits than any data hold.
_NO_CODE = 1 << 40
_LONGEST = 16
#: Coefficients of a block; the value that skips sixteen of them, and the one that ends it (T.81 F.1.2.2).
_BLOCK, _SKIP, _END = 64, 0xF0, 0
#: The category of a lossless difference that no bits follow (T.81 H.1.2.2).
_WHOLE = 16
#: Longer data are made ready a piece at a time; bytes.
_PIECE = 1 << 18


class Codes(NamedTuple):
    """A Huffman table as it is told: how many codes have each length, from 1 to 16, and their values in order."""

    lengths: bytes
    values: bytes


class Scan(NamedTuple):
    """Codes of each block of an MCU (DC and AC, of a lossless sample one), MCUs, and those between restarts."""

    blocks: tuple[tuple[Codes, Codes | None], ...]
    units: int
    interval: int


def trimmed(data: bytes, scan: Scan) -> bytes:
    """The data without what no block needs; ``data`` itself when all is needed, or when they are cut short.

    Raises Unreadable for codes that no table has, and for restarts out of order.
    """
    if not _RESTART.search(data):
        return _interval(data, scan, min(scan.units, scan.interval or scan.units))
    first, *others = _RESTART.split(data)
    if not scan.interval:
        raise Unreadable
    left = scan.units
    pieces = [_interval(first, scan, min(left, scan.interval))]
    for number, (marker, piece) in enumerate(zip(others[::2], others[1::2], strict=True)):
        left -= scan.interval
        if left <= 0:
            break
        if marker[0] != 0xD0 + number % 8:
            raise Unreadable
        pieces += [_PLAIN, marker, _interval(piece, scan, min(left, scan.interval))]
    found = b"".join(pieces)
    return data if len(found) == len(data) else found


def _interval(data: bytes, scan: Scan, count: int) -> bytes:
    plain = data.replace(_STUFFED, _PLAIN)
    bits = _bits(plain, scan, count)
    used = (bits + 7) // 8
    return data if used >= len(plain) else plain[:used].replace(_PLAIN, _STUFFED)


def _bits(plain: bytes, scan: Scan, count: int) -> int:
    """How many bits ``count`` MCUs take; no fewer than there are when the data are cut short."""
    windows = _windows(plain, 0) if len(plain) <= _PIECE else _Windows(plain)
    if any(ac is None for _, ac in scan.blocks):
        at = _differences(windows, [_table(codes, False).bits for codes, _ in scan.blocks], count)
    else:
        pairs = [(_table(dc, False), _table(ac, True)) for dc, ac in scan.blocks if ac]
        at = _blocks(windows, pairs, count)
    if at < _NO_CODE:
        return at
    if at % _NO_CODE + _LONGEST <= 8 * len(plain):
        raise Unreadable
    return 8 * len(plain)


class _Windows:
    """The 24 bits from each byte on, made for a piece at a time; ones stand behind the last byte."""

    def __init__(self, plain: bytes) -> None:
        self._plain, self._start = plain, 0
        self._piece = _windows(plain, 0)

    def __getitem__(self, at: int) -> int:
        place = at - self._start
        if not 0 <= place < len(self._piece):
            if at >= len(self._plain):
                raise IndexError
            self._start = at
            self._piece, place = _windows(self._plain, at), 0
        return self._piece[place]


def _windows(plain: bytes, start: int) -> "array[int]":
    """The windows of the piece that begins at ``start``."""
    length = min(_PIECE, len(plain) - start)
    wide = np.frombuffer(plain[start : start + length + 2].ljust(length + 2, b"\xff"), np.uint8).astype("I")
    found = array("I")
    found.frombytes((wide[:-2] << 16 | wide[1:-1] << 8 | wide[2:]).tobytes())
    return found


def _differences(windows: "array[int] | _Windows", tables: list[list[int]], count: int) -> int:
    """The bit behind ``count`` MCUs of a lossless scan (T.81 annex H)."""
    at = 0
    try:
        if len(tables) == 1:
            bits = tables[0]
            for _ in range(count):
                at += bits[windows[at >> 3] >> 8 - (at & 7) & 0xFFFF]
        else:
            for _ in range(count):
                for bits in tables:
                    at += bits[windows[at >> 3] >> 8 - (at & 7) & 0xFFFF]
    except IndexError:  # cut short
        pass
    return at


def _blocks(windows: "array[int] | _Windows", pairs: list[tuple["_Table", "_Table"]], count: int) -> int:
    """The bit behind ``count`` MCUs of a sequential scan (T.81 annex F)."""
    at = 0
    try:
        for _ in range(count):
            for dc, ac in pairs:
                at += dc.bits[windows[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                bits, steps = ac
                place = 1
                while place < _BLOCK:
                    code = windows[at >> 3] >> 8 - (at & 7) & 0xFFFF
                    at += bits[code]
                    place += steps[code]
    except IndexError:  # cut short
        pass
    return at


class _Table(NamedTuple):
    """By the next sixteen bits: how many a code and what follows it take, and how far it goes in a block."""

    bits: list[int]
    steps: list[int]


@lru_cache(maxsize=8)
def _table(codes: Codes, is_ac: bool) -> _Table:
    """Codes in the order of their lengths (T.81 annex C). Raises Unreadable when they are more than there can be."""
    bits: list[int] = []
    steps: list[int] = []
    values = iter(codes.values)
    for length, count in enumerate(codes.lengths, 1):
        room = 1 << _LONGEST - length
        for _, value in zip(range(count), values, strict=False):
            bits += [length + _following(value, is_ac)] * room
            steps += [_BLOCK if value == _END else (value >> 4) + 1] * room
    left = (1 << _LONGEST) - len(bits)
    if left < 0:
        raise Unreadable
    return _Table(bits + [_NO_CODE] * left, steps + [_BLOCK] * left)


def _following(value: int, is_ac: bool) -> int:
    """The bits behind a code: as many as its category says."""
    return value & 15 if is_ac else value % _WHOLE
