"""Whether a value of an attribute that the table does not list may stay as it is."""

from services.deid.domain.codes import CODES, MEANING, SCHEME, Coding
from services.deid.domain.dataset import NUMERIC, Element
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.rules import Rules
from services.deid.domain.technical import are_designations, are_technical, is_technical
from services.deid.domain.terms import is_term
from services.deid.domain.values import (
    BINARY,
    NUMBERS,
    TEMPORAL,
    TEXT,
    WIDTHS,
    is_coded,
    is_harmless,
    is_number,
    spells_text,
)


def may_stay(element: Element, known: str, coding: Coding, rules: Rules, names: Identifiers) -> bool:
    """Whether it proves harmless; ``coding``: what its level says of its code.

    The riskier of the VR in the data set and the dictionary's (``known``) decides: a CS written as LT is text.
    """
    value, vrs = element.value, {known if element.vr == "UN" else element.vr, known}
    if not value.strip(b" \0"):
        return True
    if vrs & BINARY:
        is_safe = vrs <= BINARY | NUMERIC and element.tag in rules.safe_binary
        return is_safe and not names.in_binary(value) and not names.in_header(value)
    if vrs & TEMPORAL:
        return element.tag in rules.safe_dates and not names.in_value(value)
    if vrs & TEXT or ("CS" in vrs and not is_coded(value)):
        vouched = element.tag in rules.safe_text and is_harmless(value) and not names.in_value(value)
        return vouched and _is_of_things(element.tag, value, coding, rules)
    if element.tag in rules.typed_codes and not _is_chosen(element, rules):
        return False
    return _is_sound(element, vrs) and not _spells(element, vrs, names)


def _is_of_things(tag: int, value: bytes, coding: Coding, rules: Rules) -> bool:
    """Whether a text says what it should: code items by their scheme, the rest by their words or their shape."""
    text, *_ = parts = [part.strip(" \0") for part in value.decode("ascii").split("\\")]
    if tag == MEANING:
        return len(parts) == 1 and coding.means(text)
    if (tag in CODES and coding.published) or (tag == SCHEME and len(parts) == 1 and text in rules.public_schemes):
        return True
    if tag == SCHEME or tag in CODES or tag in rules.technical_text:
        return are_technical(value.decode("ascii"), rules.technical_words)
    return are_designations(value.decode("ascii"))


def _is_chosen(element: Element, rules: Rules) -> bool:
    """Whether each value of a CS that people type is one of the standard's terms, or made of words of things."""
    parts = [part.strip(" \0") for part in element.value.decode("latin-1").split("\\")]
    return all(is_term(element.tag, part) or is_technical(part, rules.technical_words) for part in parts)


def _is_sound(element: Element, vrs: set[str]) -> bool:
    """Whether numbers are numbers, of the size of their VR."""
    if vrs & NUMBERS and not is_number(element.value):
        return False
    return element.vr not in WIDTHS or not len(element.value) % WIDTHS[element.vr]


def _spells(element: Element, vrs: set[str], names: Identifiers) -> bool:
    """Whether it holds something of the study's; numbers mostly are measures."""
    if vrs & NUMERIC:
        return any(names.in_numbers(element.value, vr) for vr in vrs & NUMERIC) or any(
            spells_text(element.value, vr) for vr in vrs
        )
    if vrs <= NUMBERS:
        return names.in_decimals(element.value)
    return bool(vrs & {"CS", "DS", "IS"}) and names.in_coded(element.tag, element.value)
