"""Dummy values, and what a value that stays may look like."""

import re
from collections.abc import Iterable, Iterator

from services.deid.domain.dataset import Element
from services.deid.domain.dictionary import is_registered
from services.deid.domain.pseudonyms import ProjectKey

#: VRs that hold free or nearly free text (PS3.5 section 6.2).
TEXT = frozenset(["AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"])
TEMPORAL = frozenset(["AS", "DA", "DT", "TM"])
BINARY = frozenset(["OB", "OD", "OF", "OL", "OV", "OW"])
NUMBERS = frozenset(["DS", "IS"])

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

_UIDS = re.compile(rb"[0-9.\\]*\0?")
_NUMBER = re.compile(rb"[0-9+\-.eE\\ ]*\0?")
_CODED = re.compile(rb"(?:[A-Z0-9 _]{0,16}\\)*[A-Z0-9 _]{0,16}\0?")
_PRINTABLE = re.compile(rb"[ -~]*\0?")
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
    replaced = [_new_uid(uid, key) for uid in element.value.decode("latin-1").split("\\")]
    return Element(element.tag, "UI", "\\".join(replaced).encode())


def _new_uid(uid: str, key: ProjectKey) -> str:
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
    return _UIDS.fullmatch(value) is not None


def is_number(value: bytes) -> bool:
    """True when ``value`` is what DS and IS may hold, and nothing else."""
    return _NUMBER.fullmatch(value) is not None


def is_coded(value: bytes) -> bool:
    """True when ``value`` is what CS may hold (PS3.5 section 6.2)."""
    return _CODED.fullmatch(value) is not None


def is_harmless(value: bytes) -> bool:
    """True for printable ASCII that is not shaped like a date, a phone number or an address."""
    return _PRINTABLE.fullmatch(value) is not None and _SHAPES.search(value) is None
