"""What looks like an identifier in a header that goes out, and is none: it was examined where it stands."""

from collections.abc import Iterator

from services.deid.domain.dataset import NUMERIC, Element, Elements, Encoding, encode
from services.deid.domain.dates import is_temporal
from services.deid.domain.dictionary import known_vr
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.marks import MARKS
from services.deid.domain.terms import without_terms
from services.deid.domain.values import NUMBERS, is_number, is_uids

_DATES = frozenset(("DA", "DT", "TM"))


def is_left(cleaned: Elements, names: Identifiers, encoding: Encoding) -> bool:
    """Whether a cleaned data set holds an identifier that is no coincidence."""
    return names.in_header(encode(without_coincidences(cleaned, names), encoding))


def without_coincidences(elements: Elements, names: Identifiers) -> Elements:
    """A cleaned data set without what may hold the characters of an identifier and says something else.

    That is what we write ourselves (marks.py), dates and times, which are moved or meant to be there, measures, UIDs
    and the terms of the standard, each only where the rule of its kind finds nothing (Identifiers.in_decimals and its
    neighbours). Everything else stays to be searched: text, names, what is no value of its VR.
    """
    return tuple(_level((each for each in elements if each.tag not in MARKS), names))


def _level(elements: Iterator[Element] | Elements, names: Identifiers) -> Iterator[Element]:
    for element in elements:
        vr = known_vr(element.tag) or "UN" if element.vr == "UN" else element.vr
        if element.items is not None:
            yield element._replace(items=tuple(tuple(_level(item, names)) for item in element.items))
        elif vr == "CS":
            yield element._replace(value=without_terms(element.tag, element.value))
        elif not _is_examined(vr, element.value, names):
            yield element


def _is_examined(vr: str, value: bytes, names: Identifiers) -> bool:
    """Whether a value is what its VR may hold, and nothing of the study's by the rule of that VR."""
    if vr in _DATES:
        return is_temporal(value, vr)
    if vr in NUMBERS:
        return is_number(value) and not names.in_decimals(value)
    if vr in NUMERIC:
        return not names.in_numbers(value, vr)
    return vr == "UI" and is_uids(value) and not names.in_uids(value)
