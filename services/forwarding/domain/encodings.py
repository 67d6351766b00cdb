"""A native data set in Explicit or Implicit VR Little Endian (PS3.5 sections 7.1, 7.5 and A.1 to A.3).

Only what stands before values is written anew. A value stays what it is, byte for byte; of Explicit VR Big Endian its
numbers are turned round. Sequences and items get undefined lengths, so that a private sequence is known for one in
Implicit VR too. Left out are the lengths of groups and Length to End: they speak of the encoding (section 7.2).
pydicom knows the dictionary; its writer would sort elements, keep one of two that are equal, and not turn words round.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from services.forwarding.domain.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT

_ITEMS, _ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LENGTH_TO_END, _SIGN = 0x00080001, 0x00280103
#: Pixel Data and Waveform Data, and what tells the bits of their samples.
_SAMPLES = {0x7FE00010: 0x00280100, 0x54001010: 0x54001004}
#: The most bits of a sample of which all writers of big endian agree on the order of bytes (sections 6.2 and A.3).
_BITS = {"OB": 8, "OW": 16}
_TOLD = {_SIGN, *_SAMPLES.values()}
_UNDEFINED = 2**32 - 1
#: The longest value of a VR whose length has 16 bits; a longer one is written as UN (section 6.2.2).
_LONGEST_SHORT = 2**16 - 2
_WIDTHS = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_NUMBERS = {2: "H", 4: "I", 8: "Q"}
_CHUNK = 1024 * 1024
Seen = dict[int, int]


class NotEncodable(ValueError):
    """A data set is not what its transfer syntax says, or has no one meaning in another."""


class _Form(NamedTuple):
    """How elements are written."""

    is_implicit: bool
    order: str = "<"


class _Forms(NamedTuple):
    """How elements are written, and how they shall be."""

    given: _Form
    wanted: _Form


class _Head(NamedTuple):
    """What stands before a value; implicit VR and items have no VR."""

    tag: int
    vr: str | None
    length: int


_FORMS = {IMPLICIT: _Form(True), EXPLICIT: _Form(False), BIG_ENDIAN: _Form(False, ">")}
#: Of the items of a sequence that is written as UN, whatever the transfer syntax (section 6.2.2).
_UNKNOWN = _Forms(_FORMS[IMPLICIT], _FORMS[IMPLICIT])


def encoded(pieces: Iterator[bytes], source: str, target: str) -> Iterator[bytes]:
    """The data set ``pieces`` of the native syntax ``source`` as ``target``, little endian, in pieces; NotEncodable."""
    held = bytearray()
    for part in _data_set(_Reader(pieces), _Forms(_FORMS[source], _FORMS[target])):
        held += part
        if len(held) >= _CHUNK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


class _Reader:
    """Reads on; ``at`` is how far it is, in bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held, self._from = b"", 0
        self.at = 0

    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._fill(1) == 0

    def read(self, count: int) -> bytes:
        """So many bytes; NotEncodable where there are less."""
        if self._fill(count) < count:
            raise NotEncodable("cut short")
        begin, self._from = self._from, self._from + count
        self.at += count
        return self._held[begin : self._from]

    def chunks(self, count: int) -> Iterator[bytes]:
        """So many bytes, in pieces that break no number."""
        while count:
            chunk = self.read(min(count, _CHUNK, max(8, self._fill(1) & ~7)))
            count -= len(chunk)
            yield chunk

    def _fill(self, count: int) -> int:
        """How much is held, once that is ``count`` bytes or all."""
        while len(self._held) - self._from < count and (piece := next(self._pieces, None)) is not None:
            self._held, self._from = self._held[self._from :] + piece, 0
        return len(self._held) - self._from


def _data_set(reader: _Reader, forms: _Forms) -> Iterator[bytes]:
    seen: Seen = {}
    while not reader.is_done():
        yield from _element(reader, forms, _head(reader, forms.given), seen)


def _head(reader: _Reader, form: _Form) -> _Head:
    """The head of an element or an item (sections 7.1 and 7.5)."""
    start = reader.read(8)
    group, element, length = struct.unpack(f"{form.order}HHI", start)
    tag = group << 16 | element
    if form.is_implicit or group == _ITEMS:
        return _Head(tag, None, length)
    vr = start[4:6].decode("latin-1")
    if vr in EXPLICIT_VR_LENGTH_16:
        return _Head(tag, vr, *struct.unpack(f"{form.order}H", start[6:]))
    if vr not in EXPLICIT_VR_LENGTH_32:
        raise NotEncodable("no VR")
    return _Head(tag, vr, *struct.unpack(f"{form.order}I", reader.read(4)))


def _element(reader: _Reader, forms: _Forms, head: _Head, seen: Seen) -> Iterator[bytes]:
    """``seen`` is what was told of samples on this level and above it."""
    tag, length = head.tag, head.length
    vr = head.vr or _vr(head, seen)
    is_sequence = vr == "SQ" or (vr == "UN" and length == _UNDEFINED)
    if tag >> 16 == _ITEMS or (length == _UNDEFINED and not is_sequence):
        raise NotEncodable("no element of a native data set")
    if is_sequence:
        yield _written(forms.wanted, _Head(tag, vr, _UNDEFINED))
        yield from _sequence(reader, _UNKNOWN if vr == "UN" else forms, length, seen)
    elif tag & 0xFFFF == 0 or tag == _LENGTH_TO_END:
        for _ in reader.chunks(length):
            pass
    else:
        yield _written(forms.wanted, _Head(tag, "UN" if _is_too_long(vr, length) else vr, length))
        yield from _value(reader, forms.given, _Head(tag, vr, length), seen)


def _value(reader: _Reader, form: _Form, head: _Head, seen: Seen) -> Iterator[bytes]:
    width = 1 if form.order == "<" else _width(head, seen)
    for chunk in reader.chunks(head.length):
        value = chunk if width == 1 else _turned(chunk, width)
        if head.tag in _TOLD:
            seen[head.tag] = int.from_bytes(value, "little")
        yield value


def _sequence(reader: _Reader, forms: _Forms, length: int, seen: Mapping[int, int]) -> Iterator[bytes]:
    end = reader.at + length
    while length == _UNDEFINED or reader.at < end:
        head = _head(reader, forms.given)
        if length == _UNDEFINED and head == (_SEQUENCE_END, None, 0):
            break
        if head.tag != _ITEM:
            raise NotEncodable("no item")
        yield _written(forms.wanted, _Head(_ITEM, None, _UNDEFINED))
        yield from _item(reader, forms, head.length, dict(seen))
        yield _written(forms.wanted, _Head(_ITEM_END, None, 0))
    if length != _UNDEFINED and reader.at != end:
        raise NotEncodable("a sequence that is not as long as it says")
    yield _written(forms.wanted, _Head(_SEQUENCE_END, None, 0))


def _item(reader: _Reader, forms: _Forms, length: int, seen: Seen) -> Iterator[bytes]:
    end = reader.at + length
    while length == _UNDEFINED or reader.at < end:
        head = _head(reader, forms.given)
        if length == _UNDEFINED and head == (_ITEM_END, None, 0):
            return
        yield from _element(reader, forms, head, seen)
    if reader.at != end:
        raise NotEncodable("an item that is not as long as it says")


def _written(form: _Form, head: _Head) -> bytes:
    group, element = head.tag >> 16, head.tag & 0xFFFF
    if form.is_implicit or head.vr is None:
        return struct.pack("<HHI", group, element, head.length)
    shape = "<HH2sH" if head.vr in EXPLICIT_VR_LENGTH_16 else "<HH2s2xI"
    return struct.pack(shape, group, element, head.vr.encode(), head.length)


def _vr(head: _Head, seen: Mapping[int, int]) -> str:
    """What an element of implicit VR is: UN where nobody can tell (sections 6.2.2 and A.1)."""
    found = _of_dictionary(head.tag)
    if found == "UN" and head.length == _UNDEFINED:
        return "SQ"
    if found == "US or SS":
        return {0: "US", 1: "SS"}.get(seen.get(_SIGN, -1), "UN")
    return "OW" if "OW" in found else found


@lru_cache(maxsize=4096)
def _of_dictionary(tag: int) -> str:
    """The VR in PS3.6; of a private element that of its creator alone is known (section 7.8.1)."""
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


def _is_too_long(vr: str, length: int) -> bool:
    return vr in EXPLICIT_VR_LENGTH_16 and length > _LONGEST_SHORT


def _width(head: _Head, seen: Mapping[int, int]) -> int:
    """Bytes of a number in a value of big endian; a value of UN is little endian all the same (section 6.2.2)."""
    vr, width = head.vr or "", _WIDTHS.get(head.vr or "", 1)
    told = _SAMPLES.get(head.tag)
    if head.length % width or (told and not 0 < seen.get(told, 0) <= _BITS.get(vr, 0)):
        raise NotEncodable("an order of bytes that nobody can tell")
    return width


def _turned(chunk: bytes, width: int) -> bytes:
    numbers = array(_NUMBERS[width], chunk)
    numbers.byteswap()
    return numbers.tobytes()
