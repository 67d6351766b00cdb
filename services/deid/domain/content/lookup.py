"""Lookup tables of as many entries as their descriptors say (PS3.3 sections C.7.6.3.1.5, C.7.9.2, C.11.1, C.11.2)."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.dataset import Element, Elements, Encoding, Unreadable

#: Descriptors by the tables that they describe, plain and in segments.
_PLAIN = {0x00283006: 0x00283002, 0x00281201: 0x00281101, 0x00281202: 0x00281102, 0x00281203: 0x00281103}
_PLAIN |= {0x00281204: 0x00281104}
_SEGMENTED = {0x00281221: 0x00281101, 0x00281222: 0x00281102, 0x00281223: 0x00281103}
_TABLES = _PLAIN | _SEGMENTED
_DISCRETE, _LINEAR, _INDIRECT = range(3)
#: So many letters are no numbers.
_SHORTEST = 8
_LETTERS = re.compile(rb"[\0 -~]*")
_MOST_ENTRIES, _MOST_BITS = 65536, 16


class _Descriptor(NamedTuple):
    """Entries of a table and the bits of each."""

    entries: int
    bits: int


def with_sound_tables(elements: Elements, encoding: Encoding) -> Elements:
    """The data set with tables of the length that is told; a ramp in place of one that is shorter, or that is text."""
    changed = {each.tag: each for each in _changed(elements, encoding)}
    if not changed:
        return elements
    return tuple(new for each in elements if (new := changed.get(each.tag, each)).vr)


def _changed(elements: Elements, encoding: Encoding) -> Iterator[Element]:
    """Elements that are not what they were; without a VR those that go."""
    for element in elements:
        tag, _, _, within = element
        if within:
            items = tuple(with_sound_tables(item, encoding) for item in within)
            if any(new is not old for new, old in zip(items, within, strict=True)):
                yield element._replace(items=items)
        elif tag in _TABLES and within is None:
            descriptor = _descriptor(elements, _TABLES[tag], encoding)
            if descriptor is None:
                yield element._replace(vr="")
                continue
            make = _segments if tag in _SEGMENTED else _entries
            value = make(element.value, descriptor, encoding)
            if value != element.value:
                yield element._replace(value=value)


def _descriptor(elements: Elements, tag: int, encoding: Encoding) -> _Descriptor | None:
    value = next((each.value for each in elements if each.tag == tag), b"")
    if len(value) != 6:
        return None
    entries, _, bits = struct.unpack("<3H" if encoding.little else ">3H", value)
    return _Descriptor(entries or _MOST_ENTRIES, bits) if 0 < bits <= _MOST_BITS else None


def _entries(value: bytes, told: _Descriptor, encoding: Encoding) -> bytes:
    """A plain table: bytes or words for up to eight bits, words for more."""
    words, packed = 2 * told.entries, told.entries if told.bits <= 8 else 2 * told.entries
    size = words if len(value) >= words else packed
    found = value[:size] + b"\0" * (size % 2)
    if len(value) < size or _is_text(found):
        return _ramp(told, size < words, encoding)
    return found


def _is_text(table: bytes) -> bool:
    """Whether a table is letters and signs alone, whatever zeros are among them; colours that go up or down are not."""
    letters = table.replace(b"\0", b"") if _LETTERS.fullmatch(table) else b""
    in_order = sorted(letters)
    is_ramp = list(letters) in (in_order, in_order[::-1])
    return len(letters) >= _SHORTEST and not is_ramp


def _ramp(told: _Descriptor, is_packed: bool, encoding: Encoding) -> bytes:
    """Entries from the least to the greatest."""
    greatest, last = (1 << told.bits) - 1, max(told.entries - 1, 1)
    values = [entry * greatest // last for entry in range(told.entries)]
    if is_packed:
        return bytes(values) + b"\0" * (told.entries % 2)
    return struct.pack(f"{'<' if encoding.little else '>'}{told.entries}H", *values)


def _segments(value: bytes, told: _Descriptor, encoding: Encoding) -> bytes:
    """A table in segments (PS3.3 section C.7.9.2), up to the one that makes the last entry."""
    form = "B" if told.bits <= 8 else "<H" if encoding.little else ">H"
    width = struct.calcsize(form)
    units = [unit for (unit,) in struct.iter_unpack(form, value[: len(value) // width * width])]
    try:
        used = width * _units_used(units, told.entries, width)
    except (Unreadable, IndexError):
        used = 0
    found = value[:used] + b"\0" * (used % 2)
    if not used or _is_text(found):
        return _segmented_ramp(told, form)
    return found


def _units_used(units: list[int], entries: int, width: int) -> int:
    """How many units of ``width`` bytes the segments take that make all entries. Raises Unreadable when none do so."""
    made: dict[int, tuple[int, int]] = {}  # by the place of a segment: its entries, and the place of the next
    at = 0
    while entries > 0:
        kind, length = units[at], units[at + 1]
        if kind == _DISCRETE:
            count, stop = length, at + 2 + length
        elif kind == _LINEAR:
            count, stop = length, at + 3
        elif kind == _INDIRECT:
            count, stop = _repeated(units, at, made, width), at + 4
        else:
            raise Unreadable
        if stop > len(units):
            raise Unreadable
        made[at] = count, stop
        entries, at = entries - count, stop
    if entries < 0:
        raise Unreadable
    return at


def _repeated(units: list[int], at: int, made: dict[int, tuple[int, int]], width: int) -> int:
    """The entries of the segments that an indirect one has again; none of those is indirect."""
    place = (units[at + 2] | units[at + 3] << 8 * width) // width  # told in bytes
    count = 0
    for _ in range(units[at + 1]):
        if place not in made or units[place] == _INDIRECT:
            raise Unreadable
        entries, place = made[place]
        count += entries
    return count


def _segmented_ramp(told: _Descriptor, form: str) -> bytes:
    """The same from the least to the greatest; a length has room for one entry less."""
    greatest = (1 << told.bits) - 1
    units = [_DISCRETE, 1, 0]
    left = told.entries - 1
    while left > 0:
        length = min(left, (1 << 8 * struct.calcsize(form)) - 1)
        units += [_LINEAR, length, greatest]
        left -= length
    value = b"".join(struct.pack(form, unit) for unit in units)
    return value + b"\0" * (len(value) % 2)
