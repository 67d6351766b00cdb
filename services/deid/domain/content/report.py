"""The content tree of structured reports (PS3.3 section C.17.3; PS3.15 section E.3.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.deid.domain.charset import charsets_of
from services.deid.domain.content.concepts import Concept, Concepts, Fate
from services.deid.domain.dataset import Element, Elements
from services.deid.domain.profile import Profile
from services.deid.domain.values import DUMMIES, REMOVED

CONTENT, RELATIONSHIP, VALUE_TYPE, CONCEPT_NAME = 0x0040A730, 0x0040A010, 0x0040A040, 0x0040A043
TEXT_VALUE, CONCEPT_CODE, MEASURED = 0x0040A160, 0x0040A168, 0x0040A300
REFERENCED_SOPS = 0x00081199
SCHEME, MEANING = 0x00080102, 0x00080104
#: Short, long and URN Code Value (PS3.3 section 8.1).
_CODES = (0x00080100, 0x00080119, 0x00080120)
#: Values of dates and times by value type.
_TEMPORAL = {"DATE": (0x0040A121, "DA"), "TIME": (0x0040A122, "TM"), "DATETIME": (0x0040A120, "DT")}
_REFERENCES = frozenset(["IMAGE", "COMPOSITE", "WAVEFORM"])
#: Enumerated values that make the tree (PS3.3 section C.17.3.2): words of the standard even where a name is one.
_ENUMERATED = {
    VALUE_TYPE: frozenset({
        "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "COMPOSITE", "IMAGE", "WAVEFORM",
        "SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", "TABLE",
    }),
    RELATIONSHIP: frozenset({
        "CONTAINS", "HAS PROPERTIES", "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "INFERRED FROM", "SELECTED FROM",
        "HAS CONCEPT MOD",
    }),
}  # fmt: skip

#: Cleans an item of the sequence with that tag by the rules for attributes.
Generic = Callable[[Elements, int], Elements]


class Texts(Protocol):
    """What of a text may stay: ``kept`` as it is unless it names the patient, ``cleaned`` to its harmless words."""

    def kept(self, value: bytes, vr: str, charsets: tuple[str, ...]) -> bytes | None:
        """The value, or what is left of it; None for nothing."""

    def cleaned(self, value: bytes, vr: str, charsets: tuple[str, ...]) -> bytes | None:
        """The harmless part of the value; None for nothing."""


def code(value: str, scheme: str, meaning: str) -> Elements:
    """The item of a code sequence (PS3.3 section 8.8)."""
    return (
        Element(_CODES[0], "SH", value.encode()),
        Element(SCHEME, "SH", scheme.encode()),
        Element(MEANING, "LO", meaning.encode()),
    )


_UNKNOWN = code("261665006", "SCT", "Unknown")
#: What stands for a tree that does not go out (code D of the Basic Profile): valid in every report.
_REMOVED_ITEM = (
    Element(RELATIONSHIP, "CS", b"CONTAINS"),
    Element(VALUE_TYPE, "CS", b"TEXT"),
    Element(CONCEPT_NAME, "SQ", items=(code("121106", "DCM", "Comment"),)),
    Element(TEXT_VALUE, "UT", REMOVED),
)


@dataclass(frozen=True)
class Report:
    """Cleans content items. Every item stays in its place, with a dummy for a value that does not."""

    concepts: Concepts
    profile: Profile
    texts: Texts

    def tree(self, items: tuple[Elements, ...], generic: Generic, charsets: tuple[str, ...]) -> tuple[Elements, ...]:
        """The items of a content sequence, with all that hang from them."""
        return tuple(self._item(item, generic, charsets, forced=False) for item in items)

    def _item(self, item: Elements, generic: Generic, charsets: tuple[str, ...], *, forced: bool) -> Elements:
        kind, charsets = _text(item, VALUE_TYPE), charsets_of(item, charsets)
        fate = Fate.DUMMY if forced else self.concepts.fate(_concept(item, kind), self.profile)
        cleaned = {each.tag: each for each in _with_terms(generic(_own(item), CONTENT), item)}
        cleaned.update((each.tag, each) for each in self._value(item, kind, fate, charsets, cleaned))
        below = next((each for each in item if each.tag == CONTENT), None)
        if below is not None and below.items is not None:
            hidden = forced or (kind == "CONTAINER" and fate is Fate.DUMMY)
            items = tuple(self._item(each, generic, charsets, forced=hidden) for each in below.items)
            cleaned[CONTENT] = Element(CONTENT, "SQ", items=items)
        return tuple(cleaned[tag] for tag in sorted(cleaned))

    def _value(
        self, item: Elements, kind: str, fate: Fate, charsets: tuple[str, ...], cleaned: dict[int, Element]
    ) -> Elements:
        """The attributes with the item's value, where the rules for attributes alone don't decide."""
        text = next((each for each in item if each.tag == TEXT_VALUE and each.items is None), None)
        value = (Element(TEXT_VALUE, "UT", self._words(text.value, fate, charsets)),) if text else ()
        if fate is not Fate.DUMMY:
            return value
        if kind in _TEMPORAL:
            tag, vr = _TEMPORAL[kind]
            return (*value, Element(tag, vr, DUMMIES[vr]))
        if kind == "NUM" and MEASURED in cleaned:
            return (*value, Element(MEASURED, "SQ", items=()))
        if kind == "CODE" and CONCEPT_CODE in cleaned:
            return (*value, Element(CONCEPT_CODE, "SQ", items=(_UNKNOWN,)))
        return value

    def _words(self, value: bytes, fate: Fate, charsets: tuple[str, ...]) -> bytes:
        if fate is Fate.DUMMY:
            return REMOVED
        retain = self.texts.kept if fate is Fate.KEEP else self.texts.cleaned
        return retain(value, "UT", charsets) or REMOVED


def placeholder(items: tuple[Elements, ...], generic: Generic) -> tuple[Elements, ...]:
    """What stands for a tree of which no option speaks: its references to objects, else one item without content."""
    references = (item for item in items if _text(item, VALUE_TYPE) in _REFERENCES)
    kept = {RELATIONSHIP, VALUE_TYPE, CONCEPT_NAME, REFERENCED_SOPS}
    owns = (tuple(each for each in item if each.tag in kept) for item in references)
    return tuple(_with_terms(generic(own, CONTENT), own) for own in owns) or (_REMOVED_ITEM,)


def _with_terms(cleaned: Elements, item: Elements) -> Elements:
    """A cleaned item with the words that make the tree."""
    terms = {each.tag: each for each in item if _text(item, each.tag) in _ENUMERATED.get(each.tag, ())}
    return tuple(terms.get(each.tag, each) for each in cleaned)


def _own(item: Elements) -> Elements:
    """An item without its text and without what hangs from it."""
    return tuple(each for each in item if each.tag not in (CONTENT, TEXT_VALUE))


def _concept(item: Elements, kind: str) -> Concept:
    name = next((each.items[0] for each in item if each.tag == CONCEPT_NAME and each.items), ())
    value = next(filter(None, (_text(name, tag) for tag in _CODES)), "")
    return Concept(_text(name, SCHEME), value, kind)


def _text(elements: Elements, tag: int) -> str:
    return next((each.value.decode("latin-1").strip(" \0") for each in elements if each.tag == tag), "")
