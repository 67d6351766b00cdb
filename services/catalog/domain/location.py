"""Which bytes of which stored object hold an instance of a sealed pack."""

from dataclasses import dataclass

from contracts.events import PART_SIZE, Sealed
from contracts.formats.streaming import Segments


@dataclass(frozen=True)
class Location:
    """Sealed segments, in bytes: from ``offset`` within part ``part`` (from 1) on, ``length`` in all.

    ``parts`` is how many parts they touch; what runs over a part's end goes on at the next one's beginning.
    """

    part: int
    offset: int
    length: int
    parts: int


def locate(sealed: Sealed, start: int, size: int) -> Location:
    """The location of ``size`` bytes from ``start`` within the pack's archive (docs/formats.md section 5)."""
    sections = sealed.sections
    segments = Segments(sections.manifest + sections.headers + sections.archive)
    held = segments.holding(sections.manifest + sections.headers + start, size)
    first, last = segments.span(held[0]), segments.span(held[-1])
    ciphertext = sealed.size - segments.ciphertext_size
    begin, end = ciphertext + first.offset, ciphertext + last.offset + last.size
    part, offset = divmod(begin, PART_SIZE)
    return Location(part + 1, offset, end - begin, (end - 1) // PART_SIZE - part + 1)
