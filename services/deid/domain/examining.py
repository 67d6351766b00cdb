"""Whether a value of an attribute that the table does not list may stay as it is."""

from services.deid.domain.dataset import NUMERIC, Element
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.marks import CODE_MEANING
from services.deid.domain.rules import Rules
from services.deid.domain.values import BINARY, NUMBERS, TEMPORAL, TEXT, WIDTHS, is_coded, is_harmless, is_number


def may_stay(element: Element, known: str, published: bool, rules: Rules, names: Identifiers) -> bool:
    """Whether it proves harmless; ``published``: its level holds a code of a published scheme.

    The riskier of the VR in the data set and the dictionary's (``known``) decides: a CS written as LT is text.
    """
    value, vrs = element.value, {known if element.vr == "UN" else element.vr, known}
    if not value.strip(b" \0"):
        return True
    if vrs & BINARY:
        return element.tag in rules.safe_binary and not names.in_binary(value)
    if vrs & TEMPORAL:
        return element.tag in rules.safe_dates and not names.in_value(value)
    if vrs & TEXT or ("CS" in vrs and not is_coded(value)):
        vouched = element.tag in rules.safe_text and (element.tag != CODE_MEANING or published)
        return vouched and is_harmless(value) and not names.in_value(value)
    return _is_sound(element, vrs) and not _spells(value, vrs, names)


def _is_sound(element: Element, vrs: set[str]) -> bool:
    """Whether numbers are numbers, of the size of their VR."""
    if vrs & NUMBERS and not is_number(element.value):
        return False
    return element.vr not in WIDTHS or not len(element.value) % WIDTHS[element.vr]


def _spells(value: bytes, vrs: set[str], names: Identifiers) -> bool:
    if vrs & NUMERIC:
        return names.in_binary(value)
    return bool(vrs & {"CS", "DS", "IS"}) and names.in_value(value)
