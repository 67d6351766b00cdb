"""What the headers of a series have in common: nearly all of their elements are the same bytes from slice to slice."""

import struct
from itertools import pairwise
from typing import NamedTuple

from services.deid.domain.looking.reader import (
    CHARSET,
    META,
    SYNTAX,
    Broken,
    Form,
    Head,
    Leaf,
    More,
    Walk,
    charsets_in,
    path_of,
)

#: Longer headers have no outline, bytes.
LONGEST = 128 * 1024


class Slot(NamedTuple):
    """A top-level element that differs: the bytes of its tag, how it is encoded, the character sets at its place."""

    tag: bytes
    form: Form
    charsets: tuple[str, ...]


class Known(NamedTuple):
    """A header that follows an outline: the leaves of the elements that differ, where those begin and end, and where
    the pixels begin."""

    leaves: tuple[Leaf, ...]
    gaps: tuple[tuple[int, int], ...]
    rest: int


class Outline(NamedTuple):
    """The elements of one header, the numbers of those that differ in others, and the same as stretches of bytes and
    slots between them; ``form`` is that of the data set, ``behind`` the tag of the pixels, empty where there are none.
    """

    elements: tuple[bytes, ...]
    slots: tuple[Slot, ...]
    varying: frozenset[int]
    parts: tuple[bytes | Slot, ...]
    form: Form
    behind: bytes

    def read(self, data: bytes, whole: bool) -> Known | None:
        """What is new in the header that ``data`` begins with; None when it does not follow this outline.

        It is read as ``read_head`` would read it, for the outline holds whole elements in their order.
        """
        at, leaves, gaps = 0, list[Leaf](), list[tuple[int, int]]()
        walks = {form: Walk(data, form, leaves) for form in (META, self.form)}
        for part in self.parts:
            if isinstance(part, bytes):
                if not data.startswith(part, at):
                    return None
                at += len(part)
                continue
            if not data.startswith(part.tag, at):
                return None
            try:
                stop, _ = walks[part.form].one(at, len(data), "", part.charsets, 0)
            except (Broken, More):
                return None
            gaps.append((at, stop))
            at = stop
        if not (data.startswith(self.behind, at) and at + 8 <= len(data) if self.behind else whole and at == len(data)):
            return None
        return Known(tuple(leaves), tuple(gaps), at)

    def grown(self, head: Head) -> "Outline | None":
        """The outline of these headers and of ``head``; None when it has other elements."""
        elements = _elements(head)
        if [each[:4] for each in elements[1:]] != [slot.tag for slot in self.slots[1:]]:
            return None
        differing = {
            number for number, pair in enumerate(zip(self.elements, elements, strict=True)) if len({*pair}) > 1
        }
        return outline_of(head, self.varying | differing)


def outline_of(head: Head, varying: frozenset[int] = frozenset()) -> Outline | None:
    """The outline of ``head`` with these elements left open; None where it may have none.

    The first element is what stands before the first; it, the transfer syntax and the character set are never open.
    """
    slots = _slots(head)
    closed = {b"", *(_tag(tag, head.form if tag >> 16 != 2 else META) for tag in (SYNTAX, CHARSET))}
    if head.inflated or head.rest > LONGEST or any(slots[number].tag in closed for number in varying):
        return None
    parts: list[bytes | Slot] = []
    elements = _elements(head)
    for number, element in enumerate(elements):
        if number in varying:
            parts.append(slots[number])
        elif parts and isinstance(parts[-1], bytes):
            parts[-1] += element
        else:
            parts.append(element)
    return Outline(elements, slots, varying, tuple(parts), head.form, head.data[head.rest : head.rest + 4])


def _elements(head: Head) -> tuple[bytes, ...]:
    return tuple(head.data[start:stop] for start, stop in pairwise((0, *head.starts, head.rest)))


def _slots(head: Head) -> tuple[Slot, ...]:
    """Each element as a slot."""
    charsets: tuple[str, ...] = ()
    values = {leaf.stop: head.data[leaf.start : leaf.stop] for leaf in head.leaves if leaf.path == path_of(CHARSET)}
    found = [Slot(b"", META, ())]
    for start, stop in pairwise((*head.starts, head.rest)):
        form = META if start < head.dataset else head.form
        found.append(Slot(head.data[start : start + 4], form, charsets))
        if stop in values:
            charsets = charsets_in(values[stop])
    return tuple(found)


def _tag(tag: int, form: Form) -> bytes:
    return struct.pack("<HH" if form.little else ">HH", tag >> 16, tag & 0xFFFF)
