"""Dummy values, and what a value that stays may look like."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from services.deid.domain.dataset import Element
from services.deid.domain.dictionary import is_registered
from services.deid.domain.pseudonyms import ProjectKey

#: VRs that hold free or nearly free text (PS3.5 section 6.2).
TEXT = frozenset(["AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"])
TEMPORAL = frozenset(["AS", "DA", "DT", "TM"])
BINARY = frozenset(["OB", "OD", "OF", "OL", "OV", "OW"])
NUMBERS = frozenset(["DS", "IS"])
INTEGERS = frozenset(["AT", "SL", "SS", "SV", "UL", "US", "UV"])

#: The dummy of texts.
REMOVED = b"REMOVED"
#: Dummies by VR, valid for it, and of no meaning that could be taken for a fact of this examination.
DUMMIES: dict[str, bytes] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), REMOVED),
    "AS": b"000D",
    "DA": b"19000101",
    "TM": b"000000",
    "DT": b"19000101000000",
    "DS": b"0",
    "IS": b"0",
    "UR": b"urn:removed",
}
WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "SV": 8, "UV": 8}
WIDTHS |= {"OB": 2, "UN": 2, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_UIDS = re.compile(rb"[0-9.\\]*")
_NUMBER = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_CODED = re.compile(rb"(?:[A-Z0-9 _]{0,16}\\)*[A-Z0-9 _]{0,16}")
_PRINTABLE = re.compile(rb"[ -~]*")
#: So many letters and digits are text, and in a run among other numbers twice as many.
_SPELLED = 7
_LETTERS = re.compile(rb"[0-9A-Za-z .,'/^@:_=-]*")
_RUN = re.compile(rb"[0-9A-Za-z .,'/^@:_=-]{14,}")
#: Shapes that identify even when they are not this patient's own: mail and web addresses, phone numbers, dates.
_SHAPES = re.compile(
    rb"@|://(?!(?:dicom|www|hl7|snomed)\b)"
    rb"|(?<!\d)(?:19|20)\d\d[-/. ]?(?:0[1-9]|1[0-2])[-/. ]?(?:0[1-9]|[12]\d|3[01])"
    rb"(?:(?:[ T]?(?:[01]\d|2[0-3])[:.]?[0-5]\d(?:[:.]?[0-5]\d)?)?\d{0,6})?(?!\d)"
    rb"|(?<!\d)(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:19|20)?\d\d(?!\d)"
    rb"|\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}|\+\d{7}"
)


def dummy(tag: int, vr: str, value: bytes, key: ProjectKey) -> Element:
    """A value that is valid for ``vr`` and says nothing; UIDs become new ones."""
    if vr == "UI":
        return new_uids(Element(tag, vr, value or b"0"), key)
    return Element(tag, vr, DUMMIES.get(vr) or bytes(WIDTHS.get(vr, 2)))


def new_uids(element: Element, key: ProjectKey) -> Element:
    """The element with every UID replaced; empty ones stay empty, registered ones stay what they are."""
    replaced = [new_uid(uid, key) for uid in element.value.decode("latin-1").split("\\")]
    return Element(element.tag, "UI", "\\".join(replaced).encode())


def new_uid(uid: str, key: ProjectKey) -> str:
    """What takes the place of one UID: nothing where there is none, a registered one itself."""
    original = uid.strip(" \0")
    return key.uid(original) if original and not is_registered(original) else original


def uids_in(elements: Iterable[Element]) -> Iterator[str]:
    """Every UID at any depth that a new one may take the place of."""
    for element in elements:
        for item in element.items or ():
            yield from uids_in(item)
        if element.vr == "UI":
            found = (uid.strip(" \0") for uid in element.value.decode("latin-1").split("\\"))
            yield from (uid for uid in found if uid and not is_registered(uid))


def is_uids(value: bytes) -> bool:
    """True when ``value`` is what UI may hold (PS3.5 section 9.1)."""
    return _has_shape(value, _UIDS)


def is_number(value: bytes) -> bool:
    """True when each value is what DS and IS may hold (PS3.5 section 6.2), or empty; 1953-08-17 is none, nor 1.8.1953,
    though their characters are those of numbers."""
    values = (each.strip(b" \0") for each in value.split(b"\\"))
    return all(_NUMBER.fullmatch(each) is not None for each in values if each)


def is_coded(value: bytes) -> bool:
    """True when ``value`` is what CS may hold (PS3.5 section 6.2)."""
    return _has_shape(value, _CODED)


def is_harmless(value: bytes) -> bool:
    """True for printable ASCII that is not shaped like a date, a phone number or an address."""
    return _has_shape(value, _PRINTABLE) and _SHAPES.search(value) is None


def spells_text(value: bytes, vr: str) -> bool:
    """True when numbers (``vr``) look like written text: byte after byte, or one letter for each number.

    Of numbers that are text by chance there are hardly any: so many letters in a row are rare in measurements.
    """
    bare = value.strip(b"\0 ")
    if any(_is_worded(found.group()) for found in _RUN.finditer(bare)):
        return True
    whole = vr in INTEGERS and len(bare) >= _SPELLED and _LETTERS.fullmatch(bare) is not None
    return (whole and _is_worded(bare)) or _is_spread(value, WIDTHS.get(vr, 1))


def _is_spread(value: bytes, width: int) -> bool:
    """Whether each number is one letter: all bytes but one of each are zero."""
    if width == 1 or len(value) < _SPELLED * width or len(value) % width:
        return False
    columns = [column for column in (value[at::width] for at in range(width)) if column.strip(b"\0")]
    return len(columns) == 1 and _LETTERS.fullmatch(columns[0].strip(b"\0")) is not None and _is_worded(columns[0])


def _is_worded(text: bytes) -> bool:
    """Whether most of it is letters and digits, and no ramp of a table: few follow the letter before them."""
    told = sum(map(_is_told, text))
    steps = sum(0 <= other - one <= 1 for one, other in pairwise(text))
    return told >= len(text) * 0.6 and told >= _SPELLED and steps < len(text) / 2


def _is_told(byte: int) -> bool:
    return 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A


def _has_shape(value: bytes, shape: re.Pattern[bytes]) -> bool:
    """Whether the values have the shape, whatever pads each of them: senders take more than the one NUL or space of
    PS3.5 section 6.2."""
    bare = value.rstrip(b" \0")
    if b"\0" in bare:
        bare = b"\\".join(part.rstrip(b" \0") for part in bare.split(b"\\"))
    return shape.fullmatch(bare) is not None
