"""The header as DICOM JSON without bulk data (PS3.18 annex F.2), from the elements of a walk."""

import math
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydicom import charset
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from services.dicom_ingest.domain.elements import LONGEST_TOLD, Element, Walk
from services.dicom_ingest.domain.short_elements import Short
from services.dicom_ingest.domain.vrs import CONTEXT, SHORT_VRS, SPECIFIC_CHARACTER_SET
from services.dicom_ingest.domain.window import Window

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
_Number = Callable[[str], int | float]
#: Text without character sets, and what makes numbers of it.
_PLAIN_TEXT: dict[str, _Number | None] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI")),
    "IS": int,
    "DS": float,
}
_ENCODED_TEXT = frozenset({"LO", "SH", "UC", "PN"})
#: An escape sequence that nobody knows stays in the text; a byte that is no character is replaced.
_ESCAPE, _ESCAPE_CHARACTER, _REPLACED = b"\x1b", "\x1b", "\ufffd"
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
#: What a remembered value costs beside its bytes.
_ENTRY = 400
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
#: Padding at the end of a value, and where leading spaces do not count either (PS3.5 section 6.2).
_PADDING = "\0 "
_LEADING_SPACES_COUNT = frozenset({"LT", "ST", "UT", "UC", "UR"})
_CHOICES = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
_COMPONENTS = ("Alphabetic", "Ideographic", "Phonetic")
_Told = dict[str, Any]
_Header = dict[str, _Told]
#: Character sets where none is told.
_USUAL: tuple[str, ...] = ("iso8859",)
#: What the same bytes mean depends on it: the character sets, the byte order, and whether pixels are signed.
_Context = tuple[tuple[str, ...], str, bool]
_NOTHING: Mapping[Any, _Told] = {}


@lru_cache(maxsize=256)
def _encodings(told: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Python's names of the character sets, and whether all are known: for others there is the default."""
    found = tuple(charset.convert_encodings(list(told)))
    return found, all(term in charset.python_encoding or _is_known(term) for term in told)


def _is_known(term: str) -> bool:
    """Whether it is a misspelt character set, or Python's name of one, of those that decode bytes to text."""
    (encoding,) = charset.convert_encodings([term])
    if encoding == charset.default_encoding:
        return False
    try:
        b"A".decode(encoding)
    except LookupError:
        return False
    except UnicodeError:
        pass
    return True


@lru_cache(maxsize=8192)
def _name(tag: int) -> str:
    return "%08X" % tag  # noqa: UP031 - twice as fast


class Memory:
    """Rendered values by their bytes: the slices of a series have most of theirs in common.

    The same bytes in another context, that of their character sets and so on, are other values.
    """

    def __init__(self, most_bytes: int = 8 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._told: dict[_Context, dict[Any, _Told]] = defaultdict(dict)

    def of(self, context: _Context) -> Mapping[Any, _Told]:
        """What was rendered in a context, by its bytes; never to be changed."""
        return self._told.get(context, _NOTHING)

    def keep(self, context: _Context, key: Any, size: int, told: _Told) -> _Told:
        """Remember ``told`` of ``size`` bytes and return it; everything is forgotten when it becomes too much."""
        self._bytes += size + _ENTRY
        if self._bytes > self._most_bytes:
            self._told.clear()
            self._bytes = 0
        self._told[context][key] = told
        return told


class Renderer:
    """Renders the elements of one data set."""

    def __init__(self, window: Window, walk: Walk, memory: Memory) -> None:
        """``walk`` is one of the same window."""
        self._window = window
        self._walk = walk
        self._order = walk.encoding.order
        self._memory = memory
        self._is_signed = False
        #: How often text was not in its character set, or that was unknown.
        self.undecoded = 0

    def header(self) -> _Header:
        """The top level, up to Pixel Data."""
        if self._walk.encoding.implicit:
            return self._elements(self._walk.header(), _USUAL)
        header: _Header = {}
        encodings, at = _USUAL, 0
        while True:
            short, at = self._walk.short(at)
            if short:
                self._add(short, self._context(encodings), header)
            element = self._walk.next(at)
            if element is None:
                return header
            if element.tag in CONTEXT:
                encodings = self._encodings_from(element, encodings, _USUAL)
            header[_name(element.tag)] = self._told(element, encodings)
            at = element.end

    def _add(self, short: Iterable[Short], context: _Context, header: _Header) -> None:
        """Nearly all there is to tell comes by here."""
        recall = self._memory.of(context).get
        for tag, written in short:
            header[_name(tag)] = recall(written) or self._short(written, context)

    def _elements(self, elements: Iterable[Element], inherited: tuple[str, ...]) -> _Header:
        """Any elements, one by one; ``inherited`` are the encodings of what contains them."""
        header: _Header = {}
        encodings = inherited
        for element in elements:
            if element.tag in CONTEXT:
                encodings = self._encodings_from(element, encodings, inherited)
            header[_name(element.tag)] = self._told(element, encodings)
        return header

    def _encodings_from(
        self, element: Element, encodings: tuple[str, ...], inherited: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Those of an element of CONTEXT and of what is behind it, where they were ``encodings`` before."""
        if element.tag == SPECIFIC_CHARACTER_SET:
            return self._character_sets(element, inherited)
        if element.length == 2:
            self._is_signed = any(self._window.read(element.offset, 2))
        return encodings

    def _context(self, encodings: tuple[str, ...]) -> _Context:
        return encodings, self._order, self._is_signed

    def _short(self, written: bytes, context: _Context) -> _Told:
        """The value of an element that is written like this, for the first time."""
        vr, value = SHORT_VRS[written[:2]], written[4:]
        if not value or len(value) > LONGEST_TOLD:
            return {"vr": vr}
        before, told = self.undecoded, self._value(vr, value, context[0])
        # What cannot be decoded is to be noticed in the next instance too.
        return told if self.undecoded > before else self._memory.keep(context, written, len(value), told)

    def _told(self, element: Element, encodings: tuple[str, ...]) -> _Told:
        vr, length = element.vr, element.length
        if not length or length > LONGEST_TOLD or vr in _BULK:
            told = self._sequence(element, encodings) if vr == "SQ" else None
            return told or {"vr": self._resolved(vr)}
        value = self._window.read(element.offset, length)
        context, key = self._context(encodings), (vr, value)
        if known := self._memory.of(context).get(key):
            return known
        before, told = self.undecoded, self._render(element, value, encodings)
        return told if self.undecoded > before else self._memory.keep(context, key, length, told)

    def _sequence(self, element: Element, encodings: tuple[str, ...]) -> _Told:
        items, is_signed = self._walk.enter(element).items or (), self._is_signed
        told = [self._elements(item, encodings) for item in items]
        # What an item says of its pixels is not said of what contains it.
        self._is_signed = is_signed
        return {"vr": "SQ", "Value": told} if told else {"vr": "SQ"}

    def _render(self, element: Element, value: bytes, encodings: tuple[str, ...]) -> _Told:
        if element.vr == "SQ":
            return self._sequence(element, encodings)
        return self._value(self._resolved(element.vr), value, encodings)

    def _value(self, vr: str, value: bytes, encodings: tuple[str, ...]) -> _Told:
        values: list[Any] | None = None
        if vr in _PLAIN_TEXT:
            values = _several(value.decode("ascii", "replace"), _PLAIN_TEXT[vr])
        elif vr in _NUMBERS:
            values = self._numbers(vr, value)
        elif vr in _ENCODED_TEXT or vr in _ONE_TEXT:
            values = _texts(vr, self._text(vr, value, encodings))
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _character_sets(self, element: Element, inherited: tuple[str, ...]) -> tuple[str, ...]:
        if not element.length:
            return inherited
        told = self._window.read(element.offset, min(element.length, LONGEST_TOLD)).decode("ascii", "replace")
        found, are_known = _encodings(tuple(part.strip(_PADDING) for part in told.split("\\")))
        self.undecoded += not are_known
        return found

    def _text(self, vr: str, value: bytes, encodings: tuple[str, ...]) -> str:
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        text, is_whole = _decoded(vr, value, encodings)
        self.undecoded += not is_whole
        return text

    def _resolved(self, vr: str) -> str:
        """What the dictionary leaves open in implicit VR (PS3.5 annex A.1, PS3.6 section 6)."""
        if vr == "US or SS":
            return "SS" if self._is_signed else "US"
        return _CHOICES.get(vr, vr)

    def _numbers(self, vr: str, value: bytes) -> list[Any] | None:
        form = struct.Struct(self._order + _NUMBERS[vr])
        if len(value) % form.size:
            return None
        if vr == "AT":
            return [f"{group:04X}{element:04X}" for group, element in form.iter_unpack(value)]
        numbers = [number for (number,) in form.iter_unpack(value)]
        return [finite(number) for number in numbers] if vr in ("FL", "FD") else numbers


def finite(number: float) -> float | str:
    """JSON knows no NaN and no infinity: PS3.18 section F.2.3 tells them as strings."""
    return number if math.isfinite(number) else str(number).replace("nan", "NaN")


def _several(text: str, number: _Number | None) -> list[Any] | None:
    if "\\" not in text:
        part = text.strip(_PADDING)
        return [_number(part, number) if number else part] if part else None
    parts = [part.strip(_PADDING) for part in text.split("\\")]
    if number is None:
        return [part or None for part in parts] if any(parts) else None
    return [_number(part, number) for part in parts] if any(parts) else None


def _number(part: str, number: _Number) -> int | float | str | None:
    """The number; the text as it is where it is none."""
    try:
        return finite(number(part)) if part else None
    except (ValueError, OverflowError):
        return part


def _texts(vr: str, text: str) -> list[Any] | None:
    parts = [text] if vr in _ONE_TEXT else text.split("\\")
    stripped = [part.rstrip(_PADDING) if vr in _LEADING_SPACES_COUNT else part.strip(_PADDING) for part in parts]
    if not any(stripped):
        return None
    return [(_person(part) if vr == "PN" else part) if part else None for part in stripped]


def _decoded(vr: str, value: bytes, encodings: tuple[str, ...]) -> tuple[str, bool]:
    """The text, and whether it is all that was written.

    ISO 2022 codes start again at each delimiter of the VR (PS3.5 section 6.1.2.5.3). Where there is no character set,
    there is only ASCII (section 6.1.2.1); that others are meant is a guess.
    """
    text = charset.decode_bytes(value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    if _ESCAPE in value:
        return text, _ESCAPE_CHARACTER not in text and _REPLACED not in text
    try:
        return text, encodings[0] != charset.default_encoding and value.decode(encodings[0]) is not None
    except (UnicodeError, LookupError):
        return text, False


def _person(name: str) -> dict[str, str]:
    return {component: part for component, part in zip(_COMPONENTS, name.split("="), strict=False) if part}
