"""The types of an ICC profile's tags that hold numbers alone, made anew of those numbers (ICC.1:2022 clause 10)."""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from services.deid.domain.dataset import Unreadable

#: Colours adapted to another white are within this; no letters are.
_COLOUR_LIMIT, _CURVE_LIMIT = 4.0, 64.0
_FIXED = 65536
#: The parameters of each kind of parametric curve.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
#: The greatest exponent of a curve that has nothing else, in 256ths.
_GAMMA_LIMIT = 16 * 256
_TEXT = re.compile(rb"[ -~]{4,}\0?")


def numbers_of(data: bytes) -> bytes:
    """A tag's data without reserved and surplus bytes. Raises Unreadable, KeyError or struct.error for any other."""
    kind = data[:4]
    return kind + bytes(4) + _TYPES[kind](data)


def _colour(data: bytes) -> bytes:
    """One colour (10.31)."""
    return _fixed(data, 8, 3, _COLOUR_LIMIT)


def _matrix(data: bytes) -> bytes:
    """Nine numbers (10.22)."""
    return _fixed(data, 8, 9, _COLOUR_LIMIT)


def _curve(data: bytes) -> bytes:
    """A table of values, an exponent, or nothing (10.6)."""
    (count,) = struct.unpack_from(">I", data, 8)
    values = struct.unpack_from(f">{count}H", data, 12)
    if count == 1 and values[0] > _GAMMA_LIMIT:
        raise Unreadable
    return data[8:12] + _rising(values, data[12 : 12 + 2 * count])


def _parametric(data: bytes) -> bytes:
    """A formula (10.18)."""
    (kind,) = struct.unpack_from(">H", data, 8)
    return struct.pack(">HH", kind, 0) + _fixed(data, 12, _PARAMETERS[kind], _CURVE_LIMIT)


def _table(data: bytes) -> bytes:
    """Lookup tables of one or two bytes per value (10.10 and 10.11)."""
    inputs, outputs, grid = data[8:11]
    if data[:4] == b"mft1":
        start, entries, exits, form = 48, 256, 256, "B"
    else:
        entries, exits = struct.unpack_from(">HH", data, 48)
        start, form = 52, "H"
    sizes = [entries] * inputs + [grid**inputs * outputs] + [exits] * outputs
    found = [data[8:11] + b"\0" + _fixed(data, 12, 9, _COLOUR_LIMIT) + data[48:start]]
    for number, size in enumerate(sizes):
        values = struct.unpack_from(f">{size}{form}", data, start)
        stop = start + size * struct.calcsize(form)
        found.append(_plain(data[start:stop]) if number == inputs else _rising(values, data[start:stop]))
        start = stop
    return b"".join(found)


_TYPES: Mapping[bytes, Callable[[bytes], bytes]] = MappingProxyType(
    {b"XYZ ": _colour, b"sf32": _matrix, b"curv": _curve, b"para": _parametric, b"mft1": _table, b"mft2": _table}
)


def _fixed(data: bytes, at: int, count: int, limit: float) -> bytes:
    """Numbers with sixteen bits behind the point, none of them beyond ``limit``."""
    numbers = struct.unpack_from(f">{count}i", data, at)
    if any(abs(number) > limit * _FIXED for number in numbers):
        raise Unreadable
    return struct.pack(f">{count}i", *numbers)


def _rising(values: Sequence[int], data: bytes) -> bytes:
    """The ``data`` of ``values`` that go up or down all the way, as a curve does and no word."""
    pairs = list(pairwise(values))
    if not (all(one <= other for one, other in pairs) or all(one >= other for one, other in pairs)):
        raise Unreadable
    return _plain(data)


def _plain(data: bytes) -> bytes:
    """The data, when they are more than letters."""
    if _TEXT.fullmatch(data):
        raise Unreadable
    return data
