"""The content tree of structured reports (PS3.3 section C.17.3; PS3.15 section E.3.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.deid.domain.charset import SPECIFIC_CHARACTER_SET as CHARACTER_SET
from services.deid.domain.charset import charsets_of
from services.deid.domain.content.ages import NUMERIC_VALUE, OTHER_FORMS, tells_old_age, with_capped_age
from services.deid.domain.content.concepts import About, Concept, Concepts, Fate
from services.deid.domain.dataset import Element, Elements
from services.deid.domain.profile import Profile
from services.deid.domain.rules import Identity
from services.deid.domain.values import DUMMIES, REMOVED

CONTENT, RELATIONSHIP, VALUE_TYPE, CONCEPT_NAME = 0x0040A730, 0x0040A010, 0x0040A040, 0x0040A043
TEXT_VALUE, CONCEPT_CODE, MEASURED = 0x0040A160, 0x0040A168, 0x0040A300
#: Where the item is that an item without a value type stands for (by-reference relationships).
REFERENCED_ITEM = 0x0040DB73
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

    def kept(self, value: bytes, vr: str, charsets: tuple[str, ...], identity: Identity) -> bytes | None:
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


class _Found(NamedTuple):
    """What an item is about."""

    concept: Concept
    fate: Fate
    about: About

    @property
    def kind(self) -> str:
        return self.concept.kind


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
        item, charsets = _of_known_type(item), charsets_of(item, charsets)
        concept = _concept(item, _text(item, VALUE_TYPE))
        fate = Fate.DUMMY if forced else self.concepts.fate(concept, self.profile)
        found = _Found(concept, fate, self.concepts.about(concept))
        cleaned = {each.tag: each for each in _with_terms(generic(_own(item), CONTENT), item)}
        cleaned.update((each.tag, each) for each in self._value(item, found, charsets, cleaned))
        below = next((each for each in item if each.tag == CONTENT), None)
        if below is not None and below.items is not None:
            hidden = forced or (concept.kind == "CONTAINER" and fate is Fate.DUMMY)
            items = tuple(self._item(each, generic, charsets, forced=hidden) for each in below.items)
            cleaned[CONTENT] = Element(CONTENT, "SQ", items=items)
        return tuple(cleaned[tag] for tag in sorted(cleaned))

    def _value(self, item: Elements, found: _Found, charsets: tuple[str, ...], cleaned: dict[int, Element]) -> Elements:
        """The attributes with the item's value, where the rules for attributes alone don't decide."""
        text = next((each for each in item if each.tag == TEXT_VALUE and each.items is None), None)
        value = (Element(TEXT_VALUE, "UT", self._words(text.value, found, charsets)),) if text else ()
        if found.fate is not Fate.DUMMY:
            return (*value, *self._measured(found, cleaned))
        numbers = _without_number(cleaned)
        codes = (Element(CONCEPT_CODE, "SQ", items=(_UNKNOWN,)),) if CONCEPT_CODE in cleaned else ()
        dates = (Element(tag, vr, DUMMIES[vr]) for tag, vr in _TEMPORAL.values() if tag in cleaned)
        return (*value, *numbers, *codes, *dates, *_missing_date(found.kind, cleaned))

    def _measured(self, found: _Found, cleaned: dict[int, Element]) -> Elements:
        """The numbers of a NUM item with ages capped: in its measured value, or in the item itself (PS3.3 10.2)."""
        is_age, oldest = found.about is About.AGE, self.profile.oldest_age
        measured = cleaned.get(MEASURED)
        if measured is not None and measured.items is not None:
            items = tuple(with_capped_age(each, oldest, is_age=is_age) for each in measured.items)
            return (measured._replace(items=items),)
        own = tuple(cleaned.values())
        capped = with_capped_age(own, oldest, is_age=is_age)
        for gone in {each.tag for each in own} - {each.tag for each in capped}:
            del cleaned[gone]
        return capped

    def _words(self, value: bytes, found: _Found, charsets: tuple[str, ...]) -> bytes:
        if found.fate is Fate.DUMMY:
            return REMOVED
        if found.about is About.AGE and tells_old_age(value.decode("latin-1"), self.profile.oldest_age):
            return REMOVED
        if found.fate is Fate.KEEP:
            identity = self.concepts.identity(found.concept, self.profile)
            return self.texts.kept(value, "UT", charsets, identity) or REMOVED
        return self.texts.cleaned(value, "UT", charsets) or REMOVED


def _of_known_type(item: Elements) -> Elements:
    """The item, or a text in its place where its value type is none: nobody can say what its value tells."""
    kind = _text(item, VALUE_TYPE)
    if kind in _ENUMERATED[VALUE_TYPE] or (not kind and any(each.tag == REFERENCED_ITEM for each in item)):
        return item
    kept = tuple(each for each in item if each.tag in (CHARACTER_SET, RELATIONSHIP, CONCEPT_NAME, CONTENT))
    return (*kept, Element(VALUE_TYPE, "CS", b"TEXT"), Element(TEXT_VALUE, "UT", REMOVED))


def _missing_date(kind: str, cleaned: dict[int, Element]) -> Elements:
    """A dummy of the date that an item of this value type must have, where the rules for attributes left none."""
    tag, vr = _TEMPORAL.get(kind, (0, ""))
    return (Element(tag, vr, DUMMIES[vr]),) if tag and tag not in cleaned else ()


def _without_number(cleaned: dict[int, Element]) -> Elements:
    """No measured value; of a number in the item itself, which must have one, a dummy."""
    for tag in OTHER_FORMS & cleaned.keys():
        del cleaned[tag]
    measured = (Element(MEASURED, "SQ", items=()),) if MEASURED in cleaned else ()
    number = (Element(NUMERIC_VALUE, "DS", DUMMIES["DS"]),) if NUMERIC_VALUE in cleaned else ()
    return (*measured, *number)


def placeholder(items: tuple[Elements, ...], generic: Generic) -> tuple[Elements, ...]:
    """What stands for a tree of which no option speaks: its references to objects, else one item without content."""
    references = (item for item in items if _text(item, VALUE_TYPE) in _REFERENCES)
    kept = {RELATIONSHIP, VALUE_TYPE, CONCEPT_NAME, REFERENCED_SOPS}
    owns = (tuple(each for each in item if each.tag in kept) for item in references)
    return tuple(_with_terms(generic(own, CONTENT), own) for own in owns) or (_REMOVED_ITEM,)


def _with_terms(cleaned: Elements, item: Elements) -> Elements:
    """A cleaned item with the words that make the tree, without what pads them."""
    words = {each.tag: _text(item, each.tag) for each in item if each.tag in _ENUMERATED}
    terms = {tag: Element(tag, "CS", word.encode()) for tag, word in words.items() if word in _ENUMERATED[tag]}
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
