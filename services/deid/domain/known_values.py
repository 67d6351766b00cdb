"""What the values of a header give to search for: names with their parts and pairs, numbers, places."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import permutations
from typing import NamedTuple

from services.deid.domain.charset import decode
from services.deid.domain.folding import fold, name_spellings
from services.deid.domain.places import SHORTEST_PIECE, cut, pieces_of, postal_codes, words_of
from services.deid.domain.transliterating import transliterations
from services.deid.domain.words import allowed_words

#: Shorter strings prove nothing: they occur in technical values by chance.
SHORTEST = 4
#: What parts a squeezed text no more.
SEPARATORS = re.compile(r"[\W_]+")

#: So many parts of one name are joined to pairs.
_JOINED = 6
_PHONES = frozenset((0x00102154, 0x00080094, 0x00401103))
_DIGITS = re.compile(r"\d{6,}")
#: What parts components and names (PS3.5 section 6.2.1.1), and what parts the names within a double one.
_PARTS = re.compile(r"[\\^=,;/()\[\]<>\s\0.]+")
_WITHIN = re.compile(r"[^\w]+|[_\u02b9\u02bb\u02bc]+")


class Kind(StrEnum):
    """What a needle is made of, which decides what counts as finding it."""

    NAME = "name"
    JOINED = "joined"  # two parts of a name, side by side
    NUMBER = "number"
    TAIL = "tail"  # the end of a longer number
    PLACE = "place"  # a word or a postal code of an address


class Noted(NamedTuple):
    """A value of an identifying attribute as it is encoded; ``place``: of an address, or of the name of a house."""

    tag: int
    vr: str
    value: bytes
    charsets: tuple[str, ...]
    place: bool = False


class Needle(NamedTuple):
    """Letters and digits, folded, and what they are."""

    text: str
    kind: Kind


def needles_of(noted: Noted, common_words: frozenset[str]) -> Iterator[Needle]:
    """What one value gives to search for, of a name, a number or a place."""
    text = decode(noted.value, noted.charsets).strip(" \0")
    if noted.vr == "PN":
        yield from _names(text, common_words)
    elif noted.place:
        yield from _places(text, common_words)
    else:
        for one in text.split("\\"):
            yield from _numbers(one, noted.tag, common_words)


def tells(value: str, common_words: frozenset[str]) -> bool:
    """False for short strings, common words and runs of one character such as 0000; two ideographs are a name."""
    long = len(value) >= (SHORTEST if value.isascii() or value[:1] < "\u0590" else 2)
    return long and len(set(value)) > 1 and value not in common_words


def parts_of(name: str) -> Iterator[tuple[str, list[str]]]:
    """Every part of a name (PS3.5 section 6.2.1) but titles, with the parts of a double one.

    Müller-Lüdenscheidt has two, O'Brien has Brien alone, since a letter is no name.
    """
    titles = allowed_words().titles
    for part in _PARTS.split(name):
        if part and fold(part) not in titles:
            yield part, [each for each in _WITHIN.split(part) if len(each) > 1 and each != part]


def _numbers(text: str, tag: int, common_words: frozenset[str]) -> Iterator[Needle]:
    """A number with and without its letters and leading zeros; a value without digits, such as a place, as it is."""
    squeezed = SEPARATORS.sub("", fold(text))
    if not tells(squeezed, common_words):
        return
    if squeezed.isalpha():
        yield Needle(squeezed, Kind.NAME)
        return
    yield Needle(squeezed, Kind.NUMBER)
    if len(short := squeezed.lstrip("0")) > SHORTEST and tells(short, common_words):
        yield Needle(short, Kind.NUMBER)
    if len(squeezed) < 24:  # an address is no number
        yield from (Needle(each.lstrip("0"), Kind.NUMBER) for each in _DIGITS.findall(squeezed) if len(set(each)) > 2)
    if tag in _PHONES and squeezed.isdigit() and len(squeezed) > 8:
        yield Needle(squeezed[-7:], Kind.TAIL)


def _places(text: str, common_words: frozenset[str]) -> Iterator[Needle]:
    """The words that tell a place, with what is left of them and of the whole where they are cut; postal codes.

    A longer word is found within others, too: Waldesruhstation.
    """
    for word in words_of(text, common_words):
        yield Needle(word, Kind.NAME if len(word) >= SHORTEST_PIECE else Kind.PLACE)
        yield from (Needle(piece, Kind.PLACE) for piece in pieces_of(word, common_words))
    for one in re.split(r"[\\\r\n]+", text):
        squeezed = (SEPARATORS.sub("", each) for each in cut(one.strip(), common_words))
        yield from (Needle(each, Kind.NAME) for each in squeezed if len(each) >= SHORTEST_PIECE)
    yield from (Needle(code, Kind.PLACE) for code in postal_codes(text))


def _names(text: str, common_words: frozenset[str]) -> Iterator[Needle]:
    """The parts of each name, and any two of a name's parts joined, in both orders and with an initial for one."""
    written = re.split(r"[\\=]", text)
    for name in (*written, *(each for one in written for each in transliterations(one))):
        parts = [(_spelled(part), [*map(_spelled, within)]) for part, within in parts_of(name)][: 4 * _JOINED]
        for spellings in (each for whole, within in parts for each in (whole, *within)):
            yield from (_needle(each) for each in spellings if tells(each, common_words))
        wholes = [whole for whole, _ in parts]
        single = [each for whole, within in parts for each in (within if len(within) > 1 else [whole])]
        single = [each for each in single if not any(map(str.isdecimal, each))]
        for first, second in {*permutations(wholes[:_JOINED], 2), *permutations(single[:_JOINED], 2)}:
            if not (first <= common_words and second <= common_words):
                yield from _joined(first, second)


def _needle(text: str) -> Needle:
    """A part of a name; of Trial-07-0003 the digits are a number, which stands within no other."""
    return Needle(text, Kind.NUMBER if text.isdecimal() else Kind.NAME)


def _spelled(part: str) -> frozenset[str]:
    return frozenset(SEPARATORS.sub("", each) for each in name_spellings(part))


def _joined(first: Iterable[str], second: Iterable[str]) -> Iterator[Needle]:
    for one in first:
        for other in second:
            for joined in (one + other, one[:1] + other, one + other[:1]):
                if len(joined) >= SHORTEST - 1 and not (len(one) == 1 == len(other)):
                    yield Needle(joined, Kind.JOINED)
