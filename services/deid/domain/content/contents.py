"""What is cleaned by what it is and not by its attribute's rule alone: one place that knows all of it."""

from dataclasses import dataclass
from functools import cached_property

from services.deid.domain.content import cda, documents, graphics, icc
from services.deid.domain.content.concepts import standard_concepts
from services.deid.domain.content.lookup import with_sound_tables
from services.deid.domain.content.report import CONTENT, Generic, Report, Texts, placeholder
from services.deid.domain.dataset import Element, Elements, Encoding
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import BASIC, Action

#: Sequences of content items outside of a report's tree (PS3.3 sections 10.2, C.7.6.14, C.7.6.22).
ACQUISITION_CONTEXT, PREPARATION_STEPS = 0x00400555, 0x00400612
WAVEFORM_ANNOTATION = 0x0040B020
#: Where ICC Profile is Type 1C (PS3.3 section C.8.12.5); in a module of its own it goes with the module.
OPTICAL_PATH = 0x00480105

#: Whatever an option says, what these hold is cleaned or replaced here.
BY_CONTENT = frozenset({CONTENT, graphics.ANNOTATION, documents.DOCUMENT, icc.ICC_PROFILE})
_STRUCTURED = frozenset({ACQUISITION_CONTEXT, PREPARATION_STEPS})


@dataclass(frozen=True)
class Contents:
    """The contents of one object; ``texts`` has what of its words may stay."""

    encoding: Encoding
    profile: Profile
    texts: Texts

    @cached_property
    def tags(self) -> frozenset[int]:
        """The attributes that are cleaned here, whatever the table says of them."""
        structured = self.profile.has(Option.CLEAN_STRUCTURED_CONTENT)
        return BY_CONTENT | (_STRUCTURED if structured else {WAVEFORM_ANNOTATION})

    def step(self, tag: int) -> tuple[Action, str]:
        """What is done to such an attribute, and by which rule (record.Step)."""
        if tag == icc.ICC_PROFILE:
            return Action.CLEAN, "supplement"
        if tag == WAVEFORM_ANNOTATION:
            return Action.REMOVE, BASIC
        option = Option.CLEAN_GRAPHICS if tag == graphics.ANNOTATION else Option.CLEAN_STRUCTURED_CONTENT
        replaced = tag == documents.DOCUMENT or not self.profile.has(option)
        return (Action.DUMMY, BASIC) if replaced else (Action.CLEAN, option)

    def clean(self, element: Element, where: str | int, generic: Generic, charsets: tuple[str, ...]) -> Element | None:
        """What goes out in place of ``element``, which stands at the top (a SOP class) or below a sequence (its tag).

        None for nothing. ``generic`` cleans an item by the rules for attributes.
        """
        if element.tag == documents.DOCUMENT:
            return self._document(element, where)
        if element.tag == icc.ICC_PROFILE:
            return _profile(element, where)
        if element.tag == WAVEFORM_ANNOTATION:
            return None
        items = self._items(element.tag, element.items or (), generic, charsets)
        return Element(element.tag, "SQ", items=items)

    def _items(
        self, tag: int, items: tuple[Elements, ...], generic: Generic, charsets: tuple[str, ...]
    ) -> tuple[Elements, ...]:
        if tag == graphics.ANNOTATION:
            if self.profile.has(Option.CLEAN_GRAPHICS) and items:
                return graphics.annotations(items, generic)
            return graphics.annotation_placeholder(items, generic, self.encoding)
        if not self.profile.has(Option.CLEAN_STRUCTURED_CONTENT):
            return placeholder(items, generic)
        return Report(standard_concepts(), self.profile, self.texts).tree(items, generic, charsets)

    def _document(self, element: Element, where: str | int) -> Element:
        document = documents.placeholder(where)
        if documents.is_cda(where) and self.profile.has(Option.CLEAN_STRUCTURED_CONTENT):
            document = cda.clean_cda(element.value, self._words, self.profile.oldest_age)
        return Element(element.tag, "OB", document)

    def _words(self, text: str) -> str:
        cleaned = self.texts.cleaned(text.encode(), "UT", ("ISO_IR 192",))
        return cleaned.decode() if cleaned else ""

    def whole(self, cleaned: Elements) -> Elements:
        """The cleaned data set with what other attributes say of these contents."""
        document = next((each for each in cleaned if each.tag == documents.DOCUMENT), None)
        if document is not None:
            cleaned = documents.described(cleaned, len(document.value), self.encoding)
        return with_sound_tables(graphics.without_bitmap_shutter(cleaned), self.encoding)


def _profile(element: Element, where: str | int) -> Element | None:
    """An ICC profile without words; where none can be made of it, a standard one if one must be there."""
    found = icc.clean_profile(element.value)
    if found is None and where == OPTICAL_PATH:
        found = icc.STANDARD_PROFILE
    return Element(element.tag, "OB", found) if found is not None else None
