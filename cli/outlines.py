"""What headers of earlier files had in common: most elements of a series' are the same bytes from file to file.

An element of the top level is walked in one way whatever stands before it. So a run of them that came before, byte for
byte, is passed over at once, and of one that differs nothing but its length is read. The walk goes on behind them, with
bounds that are lower by what was passed over.
"""

import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from typing import Literal, NamedTuple

from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import UNDEFINED, Element, Encoding
from services.dicom_ingest.domain.vrs import SHORT_VRS

#: So many outlines are kept for each kind of header, the last one first; each takes up to four times a window's bytes.
_MOST = 4
#: A length that tells nothing, as it is written.
_UNDEFINED = b"\xff\xff\xff\xff"
_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}


class Cost(NamedTuple):
    """What is counted of elements: themselves with those in their items, and the items."""

    elements: int
    items: int = 0


class Passed(NamedTuple):
    """Where what was passed over ends, the values in it that are asked for, by tag, and what is left of our bounds."""

    end: int
    values: Mapping[int, bytes]
    bounds: Bounds


NOTHING = Passed(0, {}, Bounds())


class Seen:
    """A header as it was walked from its beginning: where its elements begin, and how many of them may be passed over.

    ``costs``: what elements without a length cost, by number.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.costs: dict[int, Cost] = {}
        self.most = sys.maxsize

    def note(self, start: int, element: Element) -> None:
        """One more element. What stands behind fragments is always walked, for they are counted together."""
        if element.length == UNDEFINED:
            cost = _cost(element)
            if cost is None:
                self.most = min(self.most, len(self.starts))
            else:
                self.costs[len(self.starts)] = cost
        self.starts.append(start)


class _Slot(NamedTuple):
    """An element that differs: its tag, the bytes up to its length, and how many bytes that has."""

    tag: bytes
    head: bytes
    width: int


class _Outline:
    """The first elements of a header, and those of them that are left open, by number.

    ``asked``: the tags whose values are asked for, as they are written. ``costs``: as ``Seen`` has them.
    """

    def __init__(
        self,
        elements: Sequence[bytes],
        encoding: Encoding,
        asked: Mapping[bytes, int],
        costs: Mapping[int, Cost],
        slots: dict[int, _Slot],
    ) -> None:
        self._elements, self._encoding, self._asked, self._costs, self._slots = elements, encoding, asked, costs, slots
        spent = [cost for number, cost in costs.items() if number < len(elements)]
        usual, plain = NOTHING.bounds, len(elements) - len(spent)
        self._left = replace(
            usual,
            elements=usual.elements - plain - sum(cost.elements for cost in spent),
            items=usual.items - sum(cost.items for cost in spent),
        )
        self._parts: list[bytes | _Slot] = []
        run = 0
        for number in sorted(slots):
            self._parts += [b"".join(elements[run:number]), slots[number]]
            run = number + 1
        self._parts.append(b"".join(elements[run:]))
        closed = (each for number, each in enumerate(elements) if number not in slots and each[:4] in asked)
        self._values = {asked[each[:4]]: _value(each, encoding) for each in closed}

    def passed(self, block: bytes) -> Passed | None:
        """What of the header that ``block`` begins with is passed over; None when it does not follow this outline."""
        at, values, order = 0, dict(self._values), _ORDERS[self._encoding.order]
        for part in self._parts:
            if isinstance(part, bytes):
                if not block.startswith(part, at):
                    return None
                at += len(part)
                continue
            start = at + len(part.head) + part.width
            end = start + int.from_bytes(block[start - part.width : start], order)
            if end > len(block) or not block.startswith(part.head, at):
                return None
            if part.tag in self._asked:
                values[self._asked[part.tag]] = block[start:end]
            at = end
        return Passed(at, values, self._left)

    def grown(self, elements: Sequence[bytes]) -> "_Outline | None":
        """The outline of these headers and of one with such elements; None when that has others.

        It ends before the first one that differs and whose length nobody can read.
        """
        slots, same = dict(self._slots), len(self._elements)
        if len(elements) < same:
            return None
        for number, (old, new) in enumerate(zip(self._elements, elements, strict=False)):
            if old == new or (number in slots and new.startswith(slots[number].head)):
                continue
            if old[:4] != new[:4]:
                return None
            slot = _slot(old, self._encoding)
            if slot is None or slot != _slot(new, self._encoding):
                same = number
                break
            slots[number] = slot
        kept = {number: slot for number, slot in slots.items() if number < same}
        return _Outline(self._elements[:same], self._encoding, self._asked, self._costs, kept) if same else None


class Outlines:
    """Those of the last headers, by what kind of header it is."""

    def __init__(self) -> None:
        self._last: dict[str, list[_Outline]] = {}

    def passed(self, kind: str, block: bytes) -> Passed:
        """What of the header that ``block`` begins with came before."""
        for outline in self._last.get(kind, ()):
            passed = outline.passed(block)
            if passed is not None:
                return passed
        return NOTHING

    def learn(self, kind: str, block: bytes, encoding: Encoding, seen: Seen, end: int, asked: Iterable[int]) -> None:
        """Keep in mind the elements of a header that was ``seen`` up to ``end``, as far as they are in ``block``."""
        bounds = islice(pairwise((*seen.starts, end)), seen.most)
        elements = [block[start:stop] for start, stop in bounds if stop <= len(block)]
        if not elements or len({each[:4] for each in elements}) != len(elements):
            return
        last = self._last.setdefault(kind, [])
        for old in last:
            grown = old.grown(elements)
            if grown is not None:
                last.remove(old)
                break
        else:
            grown = _Outline(elements, encoding, {_written(tag, encoding): tag for tag in asked}, seen.costs, {})
        last.insert(0, grown)
        del last[_MOST:]


def _slot(element: bytes, encoding: Encoding) -> _Slot | None:
    """The place of an element that has a length; None for one that has none."""
    if encoding.implicit:
        head, width = element[:4], 4
    elif element[4:6] in SHORT_VRS:
        head, width = element[:6], 2
    else:
        head, width = element[:8], 4
    length = element[len(head) : len(head) + width]
    return None if length == _UNDEFINED else _Slot(element[:4], head, width)


def _value(element: bytes, encoding: Encoding) -> bytes:
    slot = _slot(element, encoding)
    return element[len(slot.head) + slot.width :] if slot else b""


def _cost(element: Element) -> Cost | None:
    """What is counted of an element without a length; None where it is, or holds, fragments."""
    if element.items is None:
        return Cost(1) if element.vr == "SQ" else None
    elements, items = 1, len(element.items)
    for each in chain.from_iterable(element.items):
        cost = _cost(each) if each.items is not None or each.length == UNDEFINED else Cost(1)
        if cost is None:
            return None
        elements, items = elements + cost.elements, items + cost.items
    return Cost(elements, items)


def _written(tag: int, encoding: Encoding) -> bytes:
    return struct.pack(encoding.order + "HH", tag >> 16, tag & 0xFFFF)
