"""The walk: every element at every depth, by rule (PS3.15 annex E.1 and E.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.deid.domain.content.contents import Contents
from services.deid.domain.dataset import NUMERIC, Element, Elements
from services.deid.domain.dictionary import known_vr
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.rules import PROFILE_CODE, PROFILE_NAME, Action, Rules
from services.deid.domain.values import (
    BINARY,
    NUMBERS,
    REMOVED,
    TEMPORAL,
    TEXT,
    WIDTHS,
    dummy,
    is_coded,
    is_harmless,
    is_number,
    is_uids,
    new_uids,
)

PATIENT_NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021
SOP_CLASS, SOP_INSTANCE, STUDY_INSTANCE, SERIES_INSTANCE = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
CODE_MEANING, CODING_SCHEME = 0x00080104, 0x00080102


def text_of(elements: Elements, tag: int) -> str:
    """The value of a top-level attribute without padding, "" when it is absent."""
    return next((each.value.decode("latin-1").strip(" \0") for each in elements if each.tag == tag), "")


@dataclass(frozen=True)
class Cleaner:
    """Cleans one data set; ``where`` is its SOP class, whose IOD gives the Types."""

    rules: Rules
    key: ProjectKey
    identifiers: Identifiers
    patient: str
    contents: Contents | None = None

    def data_set(self, elements: Elements) -> Elements:
        """The whole data set, with the attributes that say what was done."""
        kept = {each.tag: each for each in self._level(elements, text_of(elements, SOP_CLASS))}
        for tag, vr in ((PATIENT_NAME, "PN"), (PATIENT_ID, "LO")):
            kept[tag] = Element(tag, vr, self.patient.encode())
        kept.update((each.tag, each) for each in statement(self.rules.edition))
        return tuple(kept[tag] for tag in sorted(kept))

    def _level(self, elements: Elements, where: str | int) -> Iterator[Element]:
        """One level: the top of the data set (``where`` = SOP class) or an item (``where`` = its sequence)."""
        published = text_of(elements, CODING_SCHEME) in self.rules.public_schemes
        for element in elements:
            if self.contents is not None and self.contents.examines(element.tag):
                content = self.contents.clean(element, where, self._item, ())
                if content is not None:
                    yield content
                continue
            if self.rules.goes_always(element.tag):
                continue
            kind = self.rules.kind(where, element.tag)
            action = self.rules.action(element.tag, kind)
            cleaned = (
                self._examine(element, kind, published) if action is Action.EXAMINE else self._act(action, element)
            )
            if cleaned is not None:
                yield cleaned

    def _act(self, action: Action, element: Element) -> Element | None:
        """A listed attribute, by its rule."""
        if action is Action.REMOVE:
            return None
        vr = self.rules.rows[element.tag].vr
        if action is Action.EMPTY:
            return Element(element.tag, vr, items=() if vr == "SQ" else None)
        if action is Action.NEW_UIDS:
            return new_uids(element, self.key)
        if action is Action.CLEAN_ITEMS:
            return self._items(element)
        return self._dummy(element, vr)

    def _dummy(self, element: Element, vr: str) -> Element:
        if vr != "SQ":
            return dummy(element.tag, vr, element.value, self.key)
        items = element.items or ((),)
        return Element(element.tag, "SQ", items=tuple(tuple(self._dummy_level(item)) for item in items[:1]))

    def _dummy_level(self, elements: Elements) -> Iterator[Element]:
        """The shape of an item with a dummy for each value: conformant, and without content (code D on a sequence)."""
        for element in elements:
            row, vr = self.rules.rows.get(element.tag), known_vr(element.tag)
            if self.rules.goes_always(element.tag) or vr is None or vr in BINARY or (row and row.basic == "X"):
                continue
            if element.tag in self.rules.class_uids and is_uids(element.value):
                yield element
            elif vr == "SQ" and element.items is None:
                continue
            else:
                yield self._dummy(element._replace(vr=vr), vr)

    def _items(self, element: Element) -> Element | None:
        if element.items is None:
            return None
        return element._replace(items=tuple(self._item(item, element.tag) for item in element.items))

    def _item(self, item: Elements, sequence: int) -> Elements:
        return tuple(self._level(item, sequence))

    def _examine(self, element: Element, kind: str | None, published: bool) -> Element | None:
        """An attribute that the table does not list: kept when it is known and proves harmless, else by its Type."""
        known = known_vr(element.tag)
        if known is None:
            return None
        if element.items is not None or "SQ" in (known, element.vr):
            return self._items(element)
        if known == "UI" or element.vr == "UI":
            return self._uid(element)
        if self._may_stay(element, known, published):
            return element
        return self._replaced(element.tag, known, element.value, kind)

    def _uid(self, element: Element) -> Element:
        if element.tag in self.rules.class_uids and is_uids(element.value):
            return element
        return new_uids(element, self.key)

    def _replaced(self, tag: int, vr: str, value: bytes, kind: str | None) -> Element | None:
        """What takes the place of a value that may not stay, for the object to remain conformant."""
        if kind in ("1", "1C"):
            return dummy(tag, vr, value, self.key)
        return Element(tag, vr) if kind in ("2", "2C") else None

    def _may_stay(self, element: Element, known: str, published: bool) -> bool:
        """The riskier of the VR in the data set and the dictionary's decides: a CS written as LT is text."""
        value, vrs = element.value, {known if element.vr == "UN" else element.vr, known}
        if not value.strip(b" \0"):
            return True
        if vrs & BINARY:
            return element.tag in self.rules.safe_binary and not self.identifiers.in_binary(value)
        if vrs & TEMPORAL:
            return element.tag in self.rules.safe_dates and not self.identifiers.in_value(value)
        if vrs & TEXT or ("CS" in vrs and not is_coded(value)):
            return self._safe_text(element, published)
        if vrs & NUMBERS and not is_number(value):
            return False
        if element.vr in WIDTHS and len(value) % WIDTHS[element.vr]:
            return False
        if vrs & NUMERIC:
            return not self.identifiers.in_binary(value)
        return not (vrs & {"CS", "DS", "IS"}) or not self.identifiers.in_value(value)

    def _safe_text(self, element: Element, published: bool) -> bool:
        if element.tag not in self.rules.safe_text or (element.tag == CODE_MEANING and not published):
            return False
        return is_harmless(element.value) and not self.identifiers.in_value(element.value)


def statement(edition: str) -> Elements:
    """The attributes that a de-identified object must carry (PS3.15 annex E.1.1)."""
    code = (
        Element(0x00080100, "SH", PROFILE_CODE.encode()),
        Element(CODING_SCHEME, "SH", b"DCM"),
        Element(CODE_MEANING, "LO", PROFILE_NAME.encode()),
    )
    method = f"Causeway: PS3.15 {edition} Table E.1-1\\Basic Application Confidentiality Profile, header only"
    return (
        Element(0x00120062, "CS", b"YES"),
        Element(0x00120063, "LO", method.encode()),
        Element(0x00120064, "SQ", items=(code,)),
        Element(0x00280303, "CS", REMOVED),
    )
