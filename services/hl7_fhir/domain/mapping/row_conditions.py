"""Conditions of rows, in the words of the v2-to-FHIR guide: ``PV1-45 not valued``, ``OBX-2 in (ST, TX)``.

Several are joined by ``and``. A field is compared in upper case; a component is written ``PV1-3.2``.
"""

import re

from services.hl7_fhir.domain.mapping.rows import Condition, Fields, Place, text_at

_PLACE = re.compile(r"([A-Z][A-Z0-9]{1,2}|result)-(\d{1,3})(?:\.(\d{1,2})(?:\.(\d{1,2}))?)?\Z")
_TERM = re.compile(r"(?P<place>\S+)\s+(?P<negated>not\s+)?(?:(?P<valued>valued)|(?P<word>equals|in)\s+(?P<codes>.+))\Z")
_AND = re.compile(r"\s+and\s+")


def place_of(text: str) -> Place | None:
    """The place that ``PID-5`` or ``ORC-7.4`` names; None when it is not written like one."""
    found = _PLACE.match(text)
    if not found:
        return None
    segment, number, component, subcomponent = found.groups()
    return Place(f"{segment}-{number}", int(component or 0), int(subcomponent or 0))


def condition_of(text: str) -> tuple[Condition, tuple[str, ...]] | None:
    """The condition and the fields that it asks; None when ``text`` is none."""
    terms = [_term(term) for term in _AND.split(text.strip())]
    known = [term for term in terms if term is not None]
    if len(known) != len(terms):
        return None
    asked = tuple(name for _, name in known)
    if len(known) == 1:
        return known[0][0], asked
    tests = tuple(test for test, _ in known)
    return (lambda fields: all(test(fields) for test in tests)), asked


def _term(text: str) -> tuple[Condition, str] | None:
    found = _TERM.match(text.strip())
    place = place_of(found["place"]) if found else None
    if found is None or place is None:
        return None
    wanted = not found["negated"]
    if found["valued"]:
        return _valued(place, wanted), place.field
    codes = _codes(found["codes"], found["word"])
    return (_among(place, codes, wanted), place.field) if codes else None


def _codes(text: str, word: str) -> frozenset[str]:
    if word == "equals":
        return frozenset((text.strip().strip('"').upper(),))
    if not (text.startswith("(") and text.endswith(")")):
        return frozenset()
    return frozenset(code.strip().strip('"').upper() for code in text[1:-1].split(","))


def _valued(place: Place, wanted: bool) -> Condition:
    if not place.component:

        def whole(fields: Fields) -> bool:
            value = fields.get(place.field, ())
            return any(part for each in value for component in each for part in component) is wanted

        return whole
    return lambda fields: bool(text_at(place, fields.get(place.field, ()))) is wanted


def _among(place: Place, codes: frozenset[str], wanted: bool) -> Condition:
    return lambda fields: (text_at(place, fields.get(place.field, ())).upper() in codes) is wanted
