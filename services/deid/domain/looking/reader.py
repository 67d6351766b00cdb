"""A reader of Part 10 files for the second look: it shares nothing with the parser that the cleaner uses.

It builds no tree and refuses little: where a value lies and at which path is all that a search has to know
(PS3.5 section 7, PS3.10 section 7.1).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from services.deid.domain.dictionary import known_vr

#: So much of a file is looked at as header, bytes; the rest is searched as it lies.
HEAD_LIMIT = 33 * 1024 * 1024
_FIRST = 128 * 1024
_DEEPEST = 64
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_SYNTAX, _CHARSET = 0x00020010, 0x00080005
_WIDE = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


class Broken(Exception):
    """This is not a data set as far as it was read."""


class Leaf(NamedTuple):
    """A value without items: its path, tag, VR, character sets, and where it lies in ``Head.data``."""

    path: str
    tag: int
    vr: str
    charsets: tuple[str, ...]
    start: int
    stop: int


class Head(NamedTuple):
    """What comes before the pixels: the bytes (inflated when they were deflated), the leaves in them in their order,
    where the data set begins in them, and from which byte on the file is yet to be searched."""

    data: bytes
    leaves: tuple[Leaf, ...]
    dataset: int
    rest: int


class _Form(NamedTuple):
    explicit: bool
    little: bool


class _More(Exception):
    """The window ends within an element."""


def read_head(file: BinaryIO) -> Head:
    """Everything before the pixels of the Part 10 file ``file``; Broken when it is none."""
    window = _FIRST
    while True:
        file.seek(0)
        data = file.read(window)
        try:
            return _head(data, len(data) < window)
        except _More:
            if window >= HEAD_LIMIT or len(data) < window:
                raise Broken from None
            window *= 4


def value_of(head: Head, tag: int) -> bytes:
    """The first top-level value of ``tag``, empty when there is none."""
    name = path_of(tag)
    return next((head.data[leaf.start : leaf.stop] for leaf in head.leaves if leaf.path == name), b"").strip(b" \0")


def path_of(tag: int) -> str:
    """A tag as it is written: (gggg,eeee)."""
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _head(data: bytes, whole: bool) -> Head:
    if data[128:132] != b"DICM":
        raise Broken
    start, meta = _meta(data)
    syntax = next((data[leaf.start : leaf.stop].strip(b" \0") for leaf in meta if leaf.tag == _SYNTAX), b"")
    if syntax.startswith(b"1.2.840.10008.1.2.1.99"):
        if not whole:
            raise _More
        data, rest = data[:start] + _inflated(data[start:]), len(data)
    else:
        rest = -1
    walk = _Walk(data, _Form(syntax != b"1.2.840.10008.1.2", syntax != b"1.2.840.10008.1.2.2"))
    try:
        leaves = tuple(walk.level(start, len(data), "", (), 0))
    except _More:
        if not whole:
            raise
        raise Broken from None
    if rest < 0:
        rest = walk.pixels if walk.pixels is not None else len(data)
        if walk.pixels is None and not whole:
            raise _More
    return Head(data, (*meta, *leaves), start, rest)


def _meta(data: bytes) -> tuple[int, list[Leaf]]:
    """File Meta Information, which is explicit and little endian: group 0002 to its end."""
    walk, at, found = _Walk(data, _Form(explicit=True, little=True)), 132, []
    while data[at : at + 2] == b"\x02\0":
        tag, vr, start, stop = walk.element(at)
        found.append(Leaf(path_of(tag), tag, vr, (), start, stop))
        at = stop
    if not found:
        raise Broken
    return at, found


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(data, HEAD_LIMIT)
    except zlib.error:
        raise Broken from None
    if inflater.unconsumed_tail:
        raise Broken
    return found


class _Walk:
    """Goes through one data set; ``pixels`` is where its pixel element begins, once that was met."""

    def __init__(self, data: bytes, form: _Form) -> None:
        self._data = data
        self._form = form
        self._order = "<" if form.little else ">"
        self.at = 0
        self.pixels: int | None = None

    def level(self, at: int, end: int, above: str, charsets: tuple[str, ...], depth: int) -> Iterator[Leaf]:
        """The leaves of the elements from ``at`` to ``end``, or to the delimiter of an item."""
        if depth > _DEEPEST:
            raise Broken
        while at < end:
            tag = self._tag(at)
            if tag in (_ITEM_END, _SEQUENCE_END):
                self.at = at + 8
                return
            if tag in _PIXELS and depth == 0:
                self.pixels = at
                break
            tag, vr, start, stop = self.element(at)
            path = above + path_of(tag)
            if stop < 0 or (vr == "SQ") or self._holds_items(vr, start, stop):
                yield from self._items(start, stop if stop >= 0 else None, path, charsets, depth, vr)
                at = self.at
                continue
            if tag == _CHARSET:
                charsets = tuple(self._data[start:stop].decode("latin-1").strip(" \0").split("\\"))
            yield Leaf(path, tag, vr, charsets, start, stop)
            at = stop
        self.at = at

    def _holds_items(self, vr: str, start: int, stop: int) -> bool:
        item = b"\xfe\xff\0\xe0" if self._form.little else b"\xff\xfe\xe0\0"
        return vr == "UN" and stop - start >= 8 and self._data[start : start + 4] == item

    def _items(
        self, at: int, end: int | None, path: str, charsets: tuple[str, ...], depth: int, vr: str
    ) -> Iterator[Leaf]:
        form = self._form
        # PS3.5 section 6.2.2: what is in VR UN and of undefined length is encoded implicitly.
        inner = _Form(explicit=False, little=True) if vr == "UN" and form.explicit else form
        number = 0
        while end is None or at < end:
            tag, length = self._tag(at), self._number(at + 4)
            if tag == _SEQUENCE_END:
                at += 8
                break
            if tag != _ITEM:
                raise Broken
            stop = len(self._data) if length == _UNDEFINED else at + 8 + length
            if stop > len(self._data):
                raise _More
            walk = _Walk(self._data, inner)
            yield from walk.level(at + 8, stop, f"{path}[{number}]/", charsets, depth + 1)
            at, number = walk.at, number + 1
        self.at = at

    def element(self, at: int) -> tuple[int, str, int, int]:
        """Tag, VR, and where the value of the element at ``at`` lies; its end is -1 when it has items up to a mark."""
        tag = self._tag(at)
        if self._form.explicit:
            name = self._data[at + 4 : at + 6]
            vr, wide = name.decode("latin-1"), name in _WIDE
            if len(self._data) < at + 12 and (wide or len(self._data) < at + 8):
                raise _More
            start = at + (12 if wide else 8)
            length = self._number(at + 8) if wide else struct.unpack_from(self._order + "H", self._data, at + 6)[0]
        else:
            vr, start, length = known_vr(tag) or "UN", at + 8, self._number(at + 4)
        if length == _UNDEFINED:
            return tag, vr, start, -1
        if start + length > len(self._data):
            raise _More
        return tag, vr, start, start + length

    def _tag(self, at: int) -> int:
        if at + 8 > len(self._data):
            raise _More
        group, number = struct.unpack_from(self._order + "HH", self._data, at)
        return int(group << 16 | number)

    def _number(self, at: int) -> int:
        if at + 4 > len(self._data):
            raise _More
        return int(struct.unpack_from(self._order + "I", self._data, at)[0])
