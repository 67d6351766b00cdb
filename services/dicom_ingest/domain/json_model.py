"""The header as DICOM JSON without bulk data (PS3.18 annex F.2), from the elements of a walk."""

import math
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from pydicom import charset
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from services.dicom_ingest.domain.elements import LONGEST_TOLD, Element
from services.dicom_ingest.domain.negotiation import EXPLICIT_BIG
from services.dicom_ingest.domain.window import Window

SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
_PLAIN_TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI"})
_ENCODED_TEXT = frozenset({"LO", "SH", "UC", "PN"})
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
_NUMBER_TEXT: dict[str, Callable[[str], int | float]] = {"IS": int, "DS": float}
#: What a remembered value costs beside its bytes.
_ENTRY = 400
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
#: Padding at the end of a value, and where leading spaces do not count either (PS3.5 section 6.2).
_PADDING = "\0 "
_LEADING_SPACES_COUNT = frozenset({"LT", "ST", "UT", "UC", "UR"})
_CHOICES = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
_COMPONENTS = ("Alphabetic", "Ideographic", "Phonetic")
_Header = dict[str, dict[str, Any]]


@lru_cache(maxsize=256)
def _encodings(told: tuple[str, ...]) -> tuple[str, ...]:
    """Python's names of the character sets; ValueError or LookupError for one that nobody knows."""
    return tuple(charset.convert_encodings(list(told)))


class Memory:
    """Rendered values by their bytes: the slices of a series have most of theirs in common."""

    def __init__(self, most_bytes: int = 8 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._told: dict[Any, dict[str, Any]] = {}

    def get(self, key: Any) -> dict[str, Any] | None:
        """What was rendered of the same bytes, never to be changed."""
        return self._told.get(key)

    def keep(self, key: Any, size: int, told: dict[str, Any]) -> dict[str, Any]:
        """Remember ``told`` of ``size`` bytes and return it; everything is forgotten when it becomes too much."""
        self._bytes += size + _ENTRY
        if self._bytes > self._most_bytes:
            self._told.clear()
            self._bytes = 0
        self._told[key] = told
        return told


class Renderer:
    """Renders the elements of one data set; ``transfer_syntax`` tells the byte order."""

    def __init__(
        self, window: Window, transfer_syntax: str, enter: Callable[[Element], Element], memory: Memory
    ) -> None:
        """``enter`` gives a sequence its items."""
        self._window = window
        self._order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
        self._enter = enter
        self._memory = memory
        self._is_signed = False

    def render(self, elements: Iterable[Element], inherited: tuple[str, ...] = ("iso8859",)) -> _Header:
        """The elements of one data set or item; ``inherited`` are the encodings of what contains it."""
        header: _Header = {}
        encodings = inherited
        for element in elements:
            if element.tag == SPECIFIC_CHARACTER_SET:
                encodings = self._character_sets(element, inherited)
            elif element.tag == _PIXEL_REPRESENTATION and element.length == 2:
                self._is_signed = any(self._window.read(element.offset, 2))
            header["%08X" % element.tag] = self._told(element, encodings)  # noqa: UP031 - twice as fast
        return header

    def _told(self, element: Element, encodings: tuple[str, ...]) -> dict[str, Any]:
        vr, length = element.vr, element.length
        if not length or length > LONGEST_TOLD or vr in _BULK:
            told = self._sequence(element, encodings) if vr == "SQ" else None
            return told or {"vr": self._resolved(vr)}
        value = self._window.read(element.offset, length)
        key = (vr, value, encodings, self._order, self._is_signed)
        return self._memory.get(key) or self._memory.keep(key, length, self._render(element, value, encodings))

    def _sequence(self, element: Element, encodings: tuple[str, ...]) -> dict[str, Any]:
        items, is_signed = self._enter(element).items or (), self._is_signed
        told = [self.render(item, encodings) for item in items]
        # What an item says of its pixels is not said of what contains it.
        self._is_signed = is_signed
        return {"vr": "SQ", "Value": told} if told else {"vr": "SQ"}

    def _render(self, element: Element, value: bytes, encodings: tuple[str, ...]) -> dict[str, Any]:
        if element.vr == "SQ":
            return self._sequence(element, encodings)
        vr = self._resolved(element.vr)
        values = self._values(vr, value, encodings)
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _character_sets(self, element: Element, inherited: tuple[str, ...]) -> tuple[str, ...]:
        if not element.length:
            return inherited
        told = self._window.read(element.offset, min(element.length, LONGEST_TOLD)).decode("ascii", "replace")
        return _encodings(tuple(part.strip(_PADDING) for part in told.split("\\")))

    def _resolved(self, vr: str) -> str:
        """What the dictionary leaves open in implicit VR (PS3.5 annex A.1, PS3.6 section 6)."""
        if vr == "US or SS":
            return "SS" if self._is_signed else "US"
        return _CHOICES.get(vr, vr)

    def _values(self, vr: str, value: bytes, encodings: tuple[str, ...]) -> list[Any] | None:
        if vr in _NUMBERS:
            return self._numbers(vr, value)
        if vr in _PLAIN_TEXT or vr in _NUMBER_TEXT:
            return _several(value.decode("ascii", "replace"), _NUMBER_TEXT.get(vr))
        if vr in _ENCODED_TEXT or vr in _ONE_TEXT:
            return _texts(vr, value, encodings)
        return None

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


def _several(text: str, number: Callable[[str], int | float] | None) -> list[Any] | None:
    parts = [part.strip(_PADDING) for part in text.split("\\")]
    if number is None:
        return [part or None for part in parts] if any(parts) else None
    return [_number(part, number) for part in parts] if any(parts) else None


def _number(part: str, number: Callable[[str], int | float]) -> int | float | str | None:
    """The number; the text as it is where it is none."""
    try:
        return finite(number(part)) if part else None
    except ValueError:
        return part


def _texts(vr: str, value: bytes, encodings: tuple[str, ...]) -> list[Any] | None:
    text = value.decode("ascii") if value.isascii() and b"\x1b" not in value else _decoded(vr, value, encodings)
    parts = [text] if vr in _ONE_TEXT else text.split("\\")
    stripped = [part.rstrip(_PADDING) if vr in _LEADING_SPACES_COUNT else part.strip(_PADDING) for part in parts]
    if not any(stripped):
        return None
    return [(_person(part) if vr == "PN" else part) if part else None for part in stripped]


def _decoded(vr: str, value: bytes, encodings: tuple[str, ...]) -> str:
    """ISO 2022 codes start again at each delimiter of the VR (PS3.5 section 6.1.2.5.3)."""
    delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
    return charset.decode_bytes(value, encodings, delimiters)


def _person(name: str) -> dict[str, str]:
    return {component: part for component, part in zip(_COMPONENTS, name.split("="), strict=False) if part}
