"""The walk: every element at every depth, by rule (PS3.15 annex E.1 and E.2)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from services.deid.domain.charset import SPECIFIC_CHARACTER_SET, as_defined, charsets_of
from services.deid.domain.codes import CODES, MEANING, SCHEME, Coding, coding_of
from services.deid.domain.content.contents import Contents
from services.deid.domain.dataset import DEEPEST, NUMERIC, Element, Elements
from services.deid.domain.dictionary import known_vr
from services.deid.domain.examining import may_stay
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.options import Option
from services.deid.domain.private import (
    CHARACTERISTICS,
    Block,
    Declared,
    PrivateBlocks,
    blocks_of,
    declared_of,
    in_order,
    is_creator,
    is_private,
)
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.reading import as_sequence
from services.deid.domain.record import Record
from services.deid.domain.retaining import WORDS, Retaining
from services.deid.domain.rules import BASIC, Action, Row, Rules, resolve
from services.deid.domain.uids import RetainedUids
from services.deid.domain.values import BINARY, TEMPORAL, dummy, is_harmless, is_uids, new_uids

#: What becomes of other attributes depends on these: character sets, SOP class, code, safe private blocks.
_TELLING = frozenset({SPECIFIC_CHARACTER_SET, 0x00080016, SCHEME, *CODES, CHARACTERISTICS})
PATIENT_ID, ISSUER = 0x00100020, 0x00100021
SOP_CLASS, SOP_INSTANCE, STUDY_INSTANCE, SERIES_INSTANCE = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
#: Rules beside those of the table and of options (record.Step).
SUPPLEMENT, PRIVATE, UNLISTED = "supplement", "private", "unlisted"


def text_of(elements: Elements, tag: int) -> str:
    """The value of a top-level attribute without padding, "" when it is absent."""
    return next((each.value.decode("latin-1").strip(" \0") for each in elements if each.tag == tag), "")


def texts_of(elements: Elements) -> Callable[[int], str]:
    """``text_of`` for many attributes of one data set."""
    by_tag = {tag: value for tag, _, value, _ in elements}
    return lambda tag: by_tag.get(tag, b"").decode("latin-1").strip(" \0")


def telling(rules: Rules, profile: Profile) -> Callable[[Element], Element | None]:
    """Gives of an element at the top of a data set what others depend on: all of it, a part, or None for nothing."""
    names, keeps_private = Identifiers(rules), profile.has(Option.SAFE_PRIVATE)

    def tells(element: Element) -> Element | None:
        tag = element.tag
        return element if tag in _TELLING or (keeps_private and is_creator(tag)) else names.heeded(element)

    return tells


class Level(NamedTuple):
    """Where the walk is: the top of a data set (``where`` = SOP class) or an item (``where`` = its sequence).

    ``coding``: what an item says of its code. ``trusted``: an option retains the sequence around it.
    """

    where: str | int
    path: tuple[int, ...]
    charsets: tuple[str, ...]
    coding: Coding
    trusted: bool
    declared: Declared
    private: PrivateBlocks | None


@dataclass(frozen=True)
class Cleaner:
    """Cleans the elements of one data set by ``rules``, which are those of ``profile`` already (Rules.under)."""

    rules: Rules
    key: ProjectKey
    profile: Profile
    identifiers: Identifiers
    retaining: Retaining
    contents: Contents
    record: Record

    @cached_property
    def _uids(self) -> RetainedUids:
        return RetainedUids(self.profile, self.identifiers, self.key)

    def top(self, elements: Elements) -> Level:
        """The top of a data set. ``elements``: all that others depend on (``telling``)."""
        declared, where = declared_of(elements), text_of(elements, SOP_CLASS)
        return self._level_of(elements, where, declared, private=self.profile.has(Option.SAFE_PRIVATE))

    def element(self, element: Element, level: Level) -> tuple[Element | None, Element | None]:
        """What goes out in place of ``element``, None for nothing; and the creator of its private block, if it stays.

        It depends on the element and the level alone, and on the identifiers.
        """
        if not is_private(element.tag):
            return self._public(element, level), None
        if level.private is None:
            self.record.note(level.path, element.tag, Action.REMOVE, PRIVATE)
            return None, None
        return self._private(element, level.private, level)

    def _level_of(
        self, elements: Elements, where: str | int, declared: Declared, above: Level | None = None, *,
        trusted: bool = False, private: bool = False,
    ) -> Level:  # fmt: skip
        return Level(
            where,
            (*above.path, where) if above and isinstance(where, int) else (),
            charsets_of(elements, above.charsets if above else ()),
            coding_of(elements, self.rules.public_schemes),
            trusted,
            declared,
            blocks_of(elements, self.rules.safe_private, declared) if private else None,
        )

    def _public(self, element: Element, level: Level) -> Element | None:
        tag = element.tag
        if tag in self.contents.tags and not self.rules.site_removes(tag):
            return self._content(element, level)
        if self.rules.goes_always(tag):
            self.record.note(level.path, tag, Action.REMOVE, SUPPLEMENT)
            return None
        row, kind = self.rules.rows.get(tag), self.rules.kind(level.where, tag)
        return self._listed(element, row, kind, level) if row else self._unlisted(element, kind, level)

    def _content(self, element: Element, level: Level) -> Element | None:
        """An attribute that is cleaned by what it is (content/contents.py)."""
        self.record.note(level.path, element.tag, *self.contents.step(element.tag))
        return self.contents.clean(
            element, level.where, lambda item, sequence: self._item(item, sequence, level, False), level.charsets
        )

    def _listed(self, element: Element, row: Row, kind: str | None, level: Level) -> Element | None:
        """A listed attribute, by its rule; where an option can keep nothing of it, by that of the Basic Profile."""
        action, source = resolve(row.code, kind), row.source
        if action in (Action.KEEP, Action.CLEAN):
            retained = self._retained(element, row, action, level)
            if retained is not None:
                self.record.note(level.path, element.tag, action, source)
                return retained
            action, source = resolve(row.basic, kind), BASIC
        self.record.note(level.path, element.tag, action, source)
        return self._act(action, element, row, level)

    def _retained(self, element: Element, row: Row, action: Action, level: Level) -> Element | None:
        """Codes K and C: on a sequence both clean the items, which K trusts to be about what is retained."""
        if row.vr == "SQ":
            return self._items(element, level, trusted=action is Action.KEEP)
        if element.items is not None or (row.vr in NUMERIC and element.vr not in NUMERIC | BINARY | {"UN"}):
            return None
        if row.vr == "UI":
            value = self._uids.kept(element.value)
        else:
            value = self.retaining.of(element, row, action, level.charsets)
        if value is None:
            return None
        return Element(element.tag, element.vr if {element.vr, row.vr} <= NUMERIC else row.vr, value)

    def _act(self, action: Action, element: Element, row: Row, level: Level) -> Element | None:
        if action is Action.REMOVE:
            return None
        if action is Action.EMPTY:
            return Element(element.tag, row.vr, items=() if row.vr == "SQ" else None)
        if action is Action.NEW_UIDS:
            return new_uids(element, self.key)
        if action is Action.CLEAN_ITEMS:
            return self._items(element, level)
        return Element(element.tag, row.vr, row.text.encode()) if row.text else self._dummy(element, row.vr)

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
                moved = self._moved(element, row, vr)
                yield self._dummy(element._replace(vr=vr), vr) if moved is None else Element(element.tag, vr, moved)

    def _moved(self, element: Element, row: Row | None, vr: str) -> bytes | None:
        """A date of a dummy item where the profile retains dates: it says no more there than elsewhere."""
        is_date = row is not None and Option.MODIFIED_DATES in row.options and element.value.strip(b" \0")
        return self.retaining.date(element.value, vr) if is_date else None

    def _items(self, element: Element, above: Level, trusted: bool = False) -> Element | None:
        if element.items is None:
            return None
        return element._replace(items=tuple(self._item(item, element.tag, above, trusted) for item in element.items))

    def _item(self, item: Elements, sequence: int, above: Level, trusted: bool) -> Elements:
        private = self.profile.has(Option.SAFE_PRIVATE) and any(is_private(each.tag) for each in item)
        trusted = trusted or above.trusted
        level = self._level_of(item, sequence, above.declared, above, trusted=trusted, private=private)
        cleaned = [self.element(each, level) for each in item]
        kept = [each for each, _ in cleaned if each is not None]
        creators = {each.tag: each for _, each in cleaned if each is not None}
        return in_order((*kept, *creators.values())) if creators else tuple(kept)

    def _unlisted(self, element: Element, kind: str | None, level: Level) -> Element | None:
        """An attribute that the table does not list, and what was done to it."""
        known = known_vr(element.tag)
        if known is None:
            cleaned = None
        elif element.items is not None or "SQ" in (known, element.vr):
            cleaned = self._items(element, level)
        else:
            cleaned = self._examined(element, known, kind, level)
        self.record.outcome(level.path, element, cleaned, UNLISTED)
        return cleaned

    def _examined(self, element: Element, known: str, kind: str | None, level: Level) -> Element | None:
        """Kept when it proves harmless, cleaned where an option says so, else replaced as its Type asks."""
        if known == "UI" or element.vr == "UI":
            return self._uid(element)
        if element.tag == SPECIFIC_CHARACTER_SET:
            terms = as_defined(element.value)
            return Element(element.tag, "CS", terms) if terms is not None else None
        if may_stay(element, known, level.coding, self.rules, self.identifiers):
            return element
        value = self._rescued(element, known, level)
        if value is not None:
            return Element(element.tag, known, value)
        return self._replaced(element.tag, known, element.value, kind)

    def _uid(self, element: Element) -> Element:
        value: bytes | None = None
        if element.tag in self.rules.class_uids:
            value = element.value if is_uids(element.value) and not self.identifiers.in_uids(element.value) else None
        elif self.profile.has(Option.RETAIN_UIDS):
            value = self._uids.kept(element.value)
        return new_uids(element, self.key) if value is None else Element(element.tag, "UI", value)

    def _rescued(self, element: Element, known: str, level: Level) -> bytes | None:
        """What an option that speaks of values of this kind leaves of one that may not stay as it is."""
        if element.vr not in (known, "UN"):
            return None
        if element.tag == MEANING and level.coding.scheme in self.rules.public_schemes:
            return self.retaining.meaning(element.value, level.charsets)
        if level.trusted and known in WORDS:
            return self.retaining.kept(element.value, known, level.charsets)
        if known in TEMPORAL:
            return self.retaining.date(element.value, known)
        if known in WORDS - {"AE", "UR"} and self.profile.has(Option.CLEAN_DESCRIPTORS):
            return self.retaining.cleaned(element.value, known, level.charsets)
        return None

    def _replaced(self, tag: int, vr: str, value: bytes, kind: str | None) -> Element | None:
        """What takes the place of a value that may not stay, for the object to remain conformant."""
        if kind in ("1", "1C"):
            return dummy(tag, vr, value, self.key)
        return Element(tag, vr) if kind in ("2", "2C") else None

    def _private(self, element: Element, private: PrivateBlocks, level: Level) -> tuple[Element | None, Element | None]:
        """A private attribute that is known to be safe, and the creator of its block (PS3.15 section E.3.10)."""
        if is_creator(element.tag):
            return None, None
        block = private.block(element.tag)
        vr = private.safe_vr(element, block) if block else None
        cleaned = self._safe_private(element, block, vr, level) if block and vr else None
        if block is None or cleaned is None:
            self.record.note(level.path, element.tag, Action.REMOVE, PRIVATE)
            return None, None
        self.record.note(level.path, element.tag, Action.KEEP, Option.SAFE_PRIVATE)
        return cleaned, block.creator._replace(vr="LO")

    def _safe_private(self, element: Element, block: Block, vr: str, level: Level) -> Element | None:
        creator = block.creator.value
        if not is_harmless(creator) or self.identifiers.in_value(creator) or len(level.path) > DEEPEST:
            return None
        if vr == "SQ" or element.items is not None:
            sequence = as_sequence(element)
            return self._items(sequence, level) if sequence else None
        if vr == "UI":
            return self._uid(element)
        vouched = level.private is not None and level.private.is_listed(element, block)
        value = self.retaining.safe(element.value, vr, level.charsets, vouched)
        is_text = {each not in NUMERIC | BINARY for each in (vr, element.vr) if each != "UN"}
        return Element(element.tag, vr, value) if value is not None and len(is_text) == 1 else None
