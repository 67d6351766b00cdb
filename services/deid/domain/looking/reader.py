"""A reader of Part 10 files for the second look: it shares nothing with the parser that the cleaner uses.

It builds no tree and refuses little: where a value lies and at which path is all that a search has to know
(PS3.5 section 7, PS3.10 section 7.1).
"""

import struct
import zlib
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from services.deid.domain.dictionary import known_vr

#: So much of a file is looked at as header, bytes; the rest is searched as it lies.
HEAD_LIMIT = 33 * 1024 * 1024
#: So much is read at first, bytes: most headers are shorter.
FIRST = 128 * 1024
_DEEPEST = 64
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
SYNTAX, CHARSET = 0x00020010, 0x00080005
_WIDE = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
#: Of undefined length, these hold the fragments of an encapsulated picture, such as an icon (PS3.5 annex A.4).
_FRAGMENTED = frozenset(("OB", "OW"))
#: Tag, VR and a short length; tag and a long length; a number: little endian or not.
_UNPACK = {
    little: tuple(struct.Struct(order + fields).unpack_from for fields in ("HH2sH", "HHI", "I"))
    for little, order in ((True, "<"), (False, ">"))
}
#: An item begins so, little or big endian.
_MARKS = frozenset((b"\xfe\xff\0\xe0", b"\xff\xfe\xe0\0"))


class Broken(Exception):
    """This is not a data set as far as it was read."""


class Form(NamedTuple):
    """How elements are encoded (PS3.5 section 7.1)."""

    explicit: bool
    little: bool


META = Form(explicit=True, little=True)
_IMPLICIT = Form(explicit=False, little=True)


class Leaf(NamedTuple):
    """A value without items: its path, tag, VR, character sets, where it lies in ``Head.data``, and its byte order."""

    path: str
    tag: int
    vr: str
    charsets: tuple[str, ...]
    start: int
    stop: int
    little: bool = True


class Head(NamedTuple):
    """What comes before the pixels: the bytes, the leaves in them in their order, where the data set begins in them,
    and from which byte on they, or the file, are yet to be searched as they lie.

    ``starts`` are where the elements of the top level begin, those of the File Meta Information first. Of a deflated
    file ``data`` is all of it, inflated.
    """

    data: bytes
    leaves: tuple[Leaf, ...]
    dataset: int
    rest: int
    starts: tuple[int, ...]
    form: Form
    inflated: bool = False


class More(Exception):
    """The window ends within an element."""


def read_head(file: BinaryIO) -> Head:
    """Everything before the pixels of the Part 10 file ``file``; Broken when it is none."""
    window = FIRST
    while True:
        file.seek(0)
        data = file.read(window)
        try:
            return _head(data, len(data) < window)
        except More:
            if window >= HEAD_LIMIT or len(data) < window:
                raise Broken from None
            window *= 4


def value_of(head: Head, tag: int) -> bytes:
    """The first top-level value of ``tag``, empty when there is none."""
    name = path_of(tag)
    return next((head.data[leaf.start : leaf.stop] for leaf in head.leaves if leaf.path == name), b"").strip(b" \0")


@lru_cache(maxsize=4096)
def path_of(tag: int) -> str:
    """A tag as it is written: (gggg,eeee)."""
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def charsets_in(value: bytes) -> tuple[str, ...]:
    """The defined terms in a value of Specific Character Set."""
    return tuple(value.decode("latin-1").strip(" \0").split("\\"))


def _head(data: bytes, whole: bool) -> Head:
    if data[128:132] != b"DICM":
        raise Broken
    leaves: list[Leaf] = []
    starts: list[int] = []
    start = _meta(data, leaves, starts)
    syntax = next((data[leaf.start : leaf.stop].strip(b" \0") for leaf in leaves if leaf.tag == SYNTAX), b"")
    form = Form(syntax != b"1.2.840.10008.1.2", syntax != b"1.2.840.10008.1.2.2")
    deflated, behind = syntax.startswith(b"1.2.840.10008.1.2.1.99"), b""
    if deflated:
        if not whole:
            raise More
        inflated, behind = _inflated(data[start:])
        data = data[:start] + inflated
    end = Walk(data, form, leaves).data_set(start, starts)
    if end == len(data) and not whole:
        raise More
    return Head(data + behind, tuple(leaves), start, end, tuple(starts), form, deflated)


def _meta(data: bytes, leaves: list[Leaf], starts: list[int]) -> int:
    """Read File Meta Information, which is explicit and little endian: group 0002; where it ends."""
    walk, at = Walk(data, META, leaves), 132
    while data[at : at + 2] == b"\x02\0":
        starts.append(at)
        at, _ = walk.one(at, len(data), "", (), 0)
    if not leaves:
        raise Broken
    return at


def _inflated(data: bytes) -> tuple[bytes, bytes]:
    """The data set, and what stands behind it in the file."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(data, HEAD_LIMIT)
    except zlib.error:
        raise Broken from None
    if inflater.unconsumed_tail:
        raise Broken
    return found, inflater.unused_data


class Walk:
    """Goes through elements of one form, and puts their leaves into ``found``. Raises Broken or More where it can't.

    A ``trial`` is a reading that may be the wrong one: it makes none itself.
    """

    def __init__(self, data: bytes, form: Form, found: list[Leaf], trial: bool = False) -> None:
        self._data = data
        self._form = form
        self._found = found
        self._trial = trial
        self._short, self._long, self._number = _UNPACK[form.little]

    def data_set(self, at: int, starts: list[int]) -> int:
        """Read to the pixels, or to the end of the window; where that is."""
        end = len(self._data)
        charsets: tuple[str, ...] = ()
        while at < end:
            tag = self._tag(at)
            if tag in PIXELS:
                return at
            if tag in (_ITEM_END, _SEQUENCE_END):
                return end
            starts.append(at)
            at, charsets = self.one(at, end, "", charsets, 0)
        return at

    def one(self, at: int, end: int, above: str, charsets: tuple[str, ...], depth: int) -> tuple[int, tuple[str, ...]]:
        """Read one element that ends before ``end``; where it ends, and the character sets after it.

        It tells nothing of the elements around it but for the character sets.
        """
        tag, vr, start, stop = self.element(at)
        if stop > end:
            raise Broken
        leaf = Leaf(above + path_of(tag), tag, vr, charsets, start, stop, self._form.little)
        if vr == "UN" and (stop < 0 or self._data[start : start + 4] in _MARKS):
            return self._unknown(leaf, end, depth), charsets
        if vr == "SQ" or stop < 0:
            return self.items(leaf, end, depth), charsets
        if tag == CHARSET:
            charsets = charsets_in(self._data[start:stop])
        self._found.append(leaf)
        return stop, charsets

    def _unknown(self, leaf: Leaf, end: int, depth: int) -> int:
        """Items in VR UN, which are encoded implicitly (PS3.5 section 6.2.2) or as the data set was that they come
        from. What reads neither way is bytes as a whole; Broken, or More, when nobody knows where it ends."""
        forms = (self._form,) if self._trial else dict.fromkeys((META, _IMPLICIT, self._form))
        known = len(self._found)
        why: Exception = Broken()
        for form in forms:
            try:
                return Walk(self._data, form, self._found, trial=True).items(leaf, end, depth)
            except (Broken, More) as reason:
                del self._found[known:]
                why = reason if isinstance(reason, More) else why
        if leaf.stop < 0:
            raise why
        self._found.append(leaf)
        return leaf.stop

    def items(self, sequence: Leaf, end: int, depth: int) -> int:
        """Read the items of a sequence to where it stops, or up to a mark when that is unknown; where they end."""
        if depth >= _DEEPEST:
            raise Broken
        at, stop, number = sequence.start, sequence.stop, 0
        last = end if stop < 0 else stop
        while stop < 0 or at < stop:
            tag, length = self._tag(at), self._number(self._data, at + 4)[0]
            at += 8
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise Broken
            if length != _UNDEFINED and at + length > last:
                raise More if last == len(self._data) else Broken
            until, path = last if length == _UNDEFINED else at + length, f"{sequence.path}[{number}]"
            if sequence.vr in _FRAGMENTED and length != _UNDEFINED:
                self._found.append(sequence._replace(path=path, start=at, stop=until))
                at = until
            else:
                at = self._item(at, until, f"{path}/", sequence.charsets, depth)
            number += 1
        if at > last or (self._trial and stop not in (-1, at)):
            raise Broken
        return at

    def _item(self, at: int, end: int, above: str, charsets: tuple[str, ...], depth: int) -> int:
        """Read the elements of one item to ``end``, or to a delimiter; where it ends."""
        while at < end:
            if self._tag(at) in (_ITEM_END, _SEQUENCE_END):
                return at + 8
            at, charsets = self.one(at, end, above, charsets, depth + 1)
        return at

    def element(self, at: int) -> tuple[int, str, int, int]:
        """Tag, VR, and where the value of the element at ``at`` lies; its end is -1 when it has items up to a mark."""
        try:
            if self._form.explicit:
                group, number, name, length = self._short(self._data, at)
                tag, vr, start = group << 16 | number, name.decode("latin-1"), at + 8
                if self._trial and not (name.isalpha() and name.isupper()):
                    raise Broken
                if name in _WIDE:
                    length, start = self._number(self._data, at + 8)[0], at + 12
            else:
                group, number, length = self._long(self._data, at)
                tag, start = group << 16 | number, at + 8
                vr = known_vr(tag) or "UN"
        except struct.error:
            raise More from None
        if length == _UNDEFINED:
            return tag, vr, start, -1
        if start + length > len(self._data):
            raise More
        return tag, vr, start, start + length

    def _tag(self, at: int) -> int:
        if at + 8 > len(self._data):
            raise More
        group, number, _ = self._long(self._data, at)
        return int(group << 16 | number)
