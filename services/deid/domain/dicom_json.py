"""A cleaned header as DICOM JSON without bulk data (PS3.18 annex F)."""

import math
import struct
from collections.abc import Callable
from typing import Any

from services.deid.domain.charset import SPECIFIC_CHARACTER_SET, charsets_of, decode
from services.deid.domain.dataset import Element, Elements, Encoding
from services.deid.domain.values import BINARY, NUMBERS

#: Characters that an element takes at least, ``"00100020":{"vr":"LO"},``, and the most bytes of a value for one.
_LEAST, _PER_CHARACTER = 22, 8

_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_WHOLE = frozenset(["LT", "ST", "UR", "UT"])


def to_json(elements: Elements, encoding: Encoding, charsets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON object of a data set; texts are decoded as it says, or as ``charsets`` around it do."""
    order, own = "<" if encoding.little else ">", charsets_of(elements, charsets)
    return {
        f"{element.tag:08X}": _element(element, order, own)
        for element in elements
        if element.vr not in BINARY and element.vr != "UN"
    }


def is_longer(elements: Elements, limit: int) -> bool:
    """Whether the JSON of ``elements`` would be longer than ``limit``, by a low estimate that renders nothing."""
    return _estimate(elements, limit) > limit


def _estimate(elements: Elements, limit: int) -> int:
    """Characters at least; counting stops beyond ``limit``."""
    size = 0
    for element in elements:
        size += _LEAST + (0 if element.vr in BINARY else len(element.value) // _PER_CHARACTER)
        for item in element.items or ():
            if size > limit:
                return size
            size += _estimate(item, limit - size)
    return size


def _element(element: Element, order: str, charsets: tuple[str, ...]) -> dict[str, Any]:
    vr = element.vr
    if element.tag == SPECIFIC_CHARACTER_SET:
        values: list[Any] = ["ISO_IR 192"]  # what JSON is in (PS3.18 section F.2)
    elif element.items is not None:
        values = [to_json(item, Encoding(False, order == "<"), charsets) for item in element.items]
    elif vr in _FORMATS:
        values = _unpack(order + "{}" + _FORMATS[vr], element.value)
    elif vr == "AT":
        pairs = _unpack(order + "{}H", element.value)
        values = [f"{group:04X}{number:04X}" for group, number in zip(pairs[::2], pairs[1::2], strict=False)]
    else:
        values = _text(vr, element.value, charsets)
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _unpack(form: str, value: bytes) -> list[Any]:
    size = struct.calcsize(form.format(1))
    count = len(value) // size
    numbers = struct.unpack_from(form.format(count), value)
    return [number if math.isfinite(number) else None for number in numbers]


def _text(vr: str, value: bytes, charsets: tuple[str, ...]) -> list[Any]:
    text = decode(value, charsets).rstrip(" \0")
    if not text:
        return []
    parts = [text] if vr in _WHOLE else [part.strip() for part in text.split("\\")]
    return [_CONVERT.get(vr, _same)(part) if part else None for part in parts]


def _same(part: str) -> Any:
    return part


def _number(part: str) -> Any:
    """A JSON number; null for what is none, since a text here could be anything."""
    try:
        number = float(part)
    except ValueError:
        return None
    return (int(number) if number.is_integer() and abs(number) < 2**53 else number) if math.isfinite(number) else None


_CONVERT: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(NUMBERS, _number),
    "PN": lambda part: {"Alphabetic": part},
}
