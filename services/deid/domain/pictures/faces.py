"""Whether an object may show a face: by its class, and by the part of the body that it tells of (tables/faces.yaml)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

from services.deid.domain.charset import charsets_of, decode
from services.deid.domain.cleaning import SOP_CLASS, text_of
from services.deid.domain.codes import CODES, MEANING, SCHEME, standard_meanings
from services.deid.domain.dataset import Element, Elements
from services.deid.domain.folding import fold
from services.deid.domain.marks import VISUAL_FEATURES
from services.deid.domain.reading import as_sequence
from services.deid.domain.tables import shipped

_PATIENT_NAME = 0x00100010
#: Body Part Examined, and where the part is told in words: descriptions of study, series, requested procedure,
#: scheduled and performed step, the protocol's name and that of the acquisition.
_WORDS = frozenset(
    {0x00180015, 0x00081030, 0x0008103E, 0x00181030, 0x00189424, 0x00321060, 0x00400007, 0x00400254}
)  # fmt: skip
#: The same as codes: anatomic region and structure, and of segments their type; procedure, series, protocol, request.
_CODED = frozenset(
    {0x00082218, 0x00082228, 0x0062000F, 0x00081032, 0x0008103F, 0x00400260, 0x00400008, 0x00321064}
)  # fmt: skip
_LETTERS = re.compile(r"[^\W\d_]+")


class Told(Enum):
    """What an object tells of the part that it shows."""

    FACE = "a part that has a face, or is imaged with it"
    ANOTHER = "a part without a face"
    NOTHING = "none that is known"


@dataclass(frozen=True)
class Vocabulary:
    """What tells parts of the body apart: the words of each list of the table."""

    no_part: re.Pattern[str]
    no_face: re.Pattern[str]
    face: re.Pattern[str]
    another: re.Pattern[str]

    def told(self, text: str) -> Told:
        """What a text of folded words with single spaces between them tells."""
        about = self.no_part.sub("", text)
        rest = self.no_face.sub("", about)
        if self.face.search(rest):
            return Told.FACE
        return Told.ANOTHER if rest != about or self.another.search(rest) else Told.NOTHING


@dataclass(frozen=True)
class Faces:
    """The SOP classes by what is asked of them (each key of the table), and the words."""

    always: frozenset[str]
    unless_another_part: frozenset[str]
    where_told: frozenset[str]
    with_the_option: frozenset[str]
    words: Vocabulary

    def may_be_in(self, elements: Elements, *, strict: bool = False) -> bool:
        """Whether the object with this header may show a face.

        ``strict``: or any feature by which a person is recognised, as Clean Recognizable Visual Features wants it known
        (PS3.15 section E.3.2); then no object that may be of anything counts as one without.
        """
        if text_of(elements, VISUAL_FEATURES).upper() == "YES":
            return True
        sop_class = text_of(elements, SOP_CLASS)
        if sop_class in self.always or (strict and sop_class in self.with_the_option):
            return True
        if sop_class in self.unless_another_part or (strict and sop_class in self.where_told):
            return told_of(elements) is not Told.ANOTHER
        return sop_class in self.where_told and told_of(elements) is Told.FACE


@cache
def standard_faces() -> Faces:
    """The table that ships with the service, read once."""
    table = shipped("faces.yaml")
    words = Vocabulary(*(_any_of(table.pop(key)) for key in ("no_part", "no_face", "face", "another")))
    return Faces(**{key: frozenset(classes) for key, classes in table.items()}, words=words)


def told_of(elements: Elements) -> Told:
    """What part of the body a header tells of, at any depth; the patient's own name tells of none that has no face."""
    charsets = charsets_of(elements, ())
    name = next((each.value for each in elements if each.tag == _PATIENT_NAME), b"")
    named = decode(name, charsets)
    found = {_told_in(text, named) for text in set(_texts(elements, charsets))}
    return next((told for told in (Told.FACE, Told.ANOTHER) if told in found), Told.NOTHING)


@lru_cache(512)
def _told_in(text: str, name: str) -> Told:
    known, words = standard_faces().words, _words(text)
    told = known.told(" ".join(words))
    if told is Told.ANOTHER:
        names = frozenset(_words(name))
        return known.told(" ".join(word for word in words if word not in names))
    return told


def _texts(elements: Elements, inherited: tuple[str, ...]) -> Iterator[str]:
    """What describes the part, at any depth: multi-frame objects tell it of frames (PS3.3 section C.7.6.16.2.8)."""
    charsets = charsets_of(elements, inherited)
    for element in elements:
        if element.tag in _WORDS:
            yield decode(element.value, charsets)
        elif element.items is not None or element.tag in _CODED:
            for item in _items(element):
                if element.tag in _CODED:
                    yield from _meanings(item, charsets_of(item, charsets))
                yield from _texts(item, charsets)


def _items(element: Element) -> tuple[Elements, ...]:
    """The items of a sequence, also of one in VR UN."""
    found = element if element.items is not None else as_sequence(element)
    return (found.items if found else None) or ()


def _meanings(item: Elements, charsets: tuple[str, ...]) -> Iterator[str]:
    """What the item says that its code means, and what PS3.16 says of it."""
    values = {each.tag: decode(each.value, charsets).strip(" \0") for each in item if each.items is None}
    known = standard_meanings().get(values.get(SCHEME, ""), {})
    yield values.get(MEANING, "")
    yield from (known[values[tag]] for tag in CODES if values.get(tag) in known)


def _words(text: str) -> list[str]:
    return _LETTERS.findall(fold(text))


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Finds any of them as whole words; ``*`` stands for letters."""
    written = (re.escape(fold(each)).replace(r"\*", r"\S*").replace(r"\ ", " ") for each in patterns)
    return re.compile(rf"(?<!\S)(?:{'|'.join(written)})(?!\S)")
