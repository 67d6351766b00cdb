"""A header cut into stretches: those that came before, byte for byte, are not read again."""

import struct
from collections.abc import Callable, Iterator
from itertools import groupby

from services.deid.domain.dataset import (
    ELEMENT_LIMIT,
    SHORT_VRS,
    UNDEFINED,
    Element,
    Elements,
    Encoding,
    TooMuch,
    Unreadable,
)
from services.deid.domain.memo import LONGEST, LONGEST_PASSING, Memo
from services.deid.domain.reading import DELIMITERS, HEAD, Reader, Shared
from services.deid.domain.stretch import Stretch

#: VRs that may name somebody or tell a day, whatever the attribute is.
_NAMING = frozenset((b"PN", b"DA", b"DT"))
#: Higher than every tag.
_NO_TAG = 1 << 32
#: What of an element others depend on (cleaning.telling).
Tells = Callable[[Element], Element | None]


def as_stretches(elements: Elements, tells: Tells) -> list[Stretch]:
    """Elements that were read otherwise, and are not kept in mind."""
    return [Stretch(element, 1, tells(element)) for element in elements]


class Cutter:
    """Cuts one data set. ``passes``: no private element stays, and nobody asks for the value of one."""

    def __init__(self, data: bytes, encoding: Encoding, memo: Memo, tells: Tells, *, passes: bool) -> None:
        self._data = data
        self._encoding = encoding
        self._memo = memo
        self._tells = tells
        self._shared = Shared()
        self._reader = Reader(data, encoding, self._shared)
        self._seen = memo.seen(encoding)
        self._glance = struct.Struct(("<" if encoding.little else ">") + "HH2sH").unpack_from
        self._short_vrs = {} if encoding.implicit else SHORT_VRS
        self._passing = self._short_vrs.keys() - _NAMING if passes and encoding.little else frozenset[bytes]()
        self._found: list[Stretch] = []
        #: What is as it was in the header before.
        self._same: set[Stretch] = set()

    def cut(self) -> list[Stretch]:
        """All elements as they come. Unreadable unless every byte is accounted for, or TooMuch."""
        data, found, line = self._data, self._found, iter(self._seen.line)
        at, end, due, was_same = 0, len(data), next(line, None), 0
        while at < end and len(found) <= ELEMENT_LIMIT:
            if due is not None and data.startswith(due.raw, at):
                self._same.add(due)
                was_same += 1
                found.append(due)
                at += len(due.raw)
                due = next(line, None)
                continue
            if self._passing and data[at] & 1 and (passed := self._pass(at, due.first if due else _NO_TAG)) > at:
                at = passed
                continue
            stretch, at = self._one(at)
            found.append(stretch)
            while due is not None and due.first <= stretch.last:
                due = next(line, None)
        if self._is_in_order() and len(self._same) > was_same:
            self._seen.line = list(self._joined())
        return found

    def _pass(self, at: int, before: int) -> int:
        """Take in short private elements that are not as they were, up to the tag ``before``; where they stop."""
        data, glance, passing, seen, found = self._data, self._glance, self._passing, self._seen, self._found
        last = len(data) - HEAD
        while at <= last and len(found) <= ELEMENT_LIMIT:
            group, number, code, length = glance(data, at)
            stop, tag = at + HEAD + length, group << 16 | number
            if not group & 1 or code not in passing or length > LONGEST_PASSING or stop > len(data) or tag >= before:
                break
            raw = data[at:stop]
            if seen.latest.get(tag) == raw:
                break
            seen.latest[tag] = raw
            found.append(seen.passing.get(tag) or self._memo.passing(tag, self._encoding))
            at = stop
        return at

    def _one(self, at: int) -> tuple[Stretch, int]:
        """The element at that place, and where it stops."""
        group, number, code, length = self._glance(self._data, at) if at + HEAD <= len(self._data) else (0, 0, b"", 0)
        stop = at + HEAD + length
        if code not in self._short_vrs or stop > len(self._data):
            return self._any(at)
        raw = self._data[at:stop]
        known = self._seen.known.get(raw)
        if known is None:
            return self._any(at)
        return self._known(known, self._seen.latest.get(group << 16 | number) == raw), stop

    def _known(self, stretch: Stretch, is_same: bool) -> Stretch:
        if is_same:
            self._same.add(stretch)
        else:
            self._seen.latest[stretch.first] = stretch.raw
        return stretch

    def _any(self, at: int) -> tuple[Stretch, int]:
        """The same for elements of every kind."""
        end, left, seen = len(self._data), self._shared.left, self._seen
        tag, vr, length, start = self._reader.head(at, end)
        if tag >> 16 == DELIMITERS:
            raise Unreadable
        latest = seen.latest.get(tag, b"")
        # Where the length is unknown, the last one's bytes tell whether it is the same.
        raw = latest if length == UNDEFINED else self._data[at : min(start + length, at + LONGEST + 1)]
        known = seen.known.get(raw) if self._data.startswith(raw, at) else None
        if known is not None:
            return self._known(known, raw == latest), at + len(raw)
        element, stop = self._reader.element(tag, vr, length, start, end, 0)
        stretch = Stretch(element, left - self._shared.left, self._tells(element))
        if stop - at <= LONGEST:
            self._memo.keep(self._data[at:stop], stretch, self._encoding)
        return stretch, stop

    def _is_in_order(self) -> bool:
        """Whether every tag is higher than the one before. Unreadable when one comes twice, TooMuch for too many."""
        if sum([stretch.count for stretch in self._found]) > ELEMENT_LIMIT:
            raise TooMuch
        last = -1
        for stretch in self._found:
            if stretch.first <= last:
                break
            last = stretch.last
        else:
            return True
        tags = [element.tag for stretch in self._found for element in stretch.elements]
        if len(set(tags)) != len(tags):
            raise Unreadable
        return False

    def _joined(self) -> Iterator[Stretch]:
        """What is the same as before, as far as it stands side by side."""
        for is_same, stretches in groupby(self._found, self._same.__contains__):
            if is_same:
                first, *others = stretches
                yield Stretch.joined((first, *others)) if others else first
