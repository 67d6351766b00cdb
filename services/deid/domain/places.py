"""The words of an address or of the name of a house by which a place is told from others."""

import re
from collections.abc import Container, Iterator
from itertools import pairwise

from services.deid.domain.folding import spellings
from services.deid.domain.things import is_thing
from services.deid.domain.transliterating import transliterations

#: A shorter word is part of others; a shorter piece of one, as it is cut at the length of a VR, says too little.
SHORTEST_WORD, SHORTEST_PIECE = 6, 8
#: Longer pieces stand in no value: with what they stand beside, those that are cut have 16 characters or 64.
_LONGEST_PIECE = 32
#: What values are cut at: AE, CS and SH, and LO (PS3.5 section 6.2).
_LENGTHS = (16, 64)
#: So many letters of the last word make a value that is cut tell.
_BEGUN = 4
_WORD = re.compile(r"[^\W\d_]+")
#: Postal codes of five and six digits, of Canada, of the Netherlands and of the United Kingdom.
_POSTAL = re.compile(
    r"(?<![^\W_])(?:\d{5,6}|\d{2}-\d{3}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[1-9]\d{3} ?[A-Z]{2}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})"
    r"(?![^\W_])"
)


def words_of(text: str, common: Container[str]) -> Iterator[str]:
    """The words of six letters and more that are none of things and not in ``common``, folded, in each spelling."""
    for word in _WORD.findall(text):
        if _tells(word, common):
            yield from (each for each in (*spellings(word), *transliterations(word)) if len(each) >= SHORTEST_WORD)


def pieces_of(word: str, common: Container[str]) -> Iterator[str]:
    """What begins a folded word and may be left of it where it is cut; no piece is a word of things itself."""
    for end in range(SHORTEST_PIECE, min(len(word), _LONGEST_PIECE + 1)):
        if not is_thing(word[:end]) and word[:end] not in common:
            yield word[:end]


def cut(text: str, common: Container[str]) -> Iterator[str]:
    """A value as it is where a VR is too short for it, as far as a word that tells is begun in it: KLINIKUM WALDESR."""
    telling = [found.start() for found in _WORD.finditer(text) if _tells(found.group(), common)]
    for length in _LENGTHS:
        if len(text) > length and any(start + _BEGUN <= length for start in telling):
            yield from spellings(text[:length])


def postal_codes(text: str) -> Iterator[str]:
    """Letters and digits of the postal codes in an address, but round numbers, which may be any."""
    for found in _POSTAL.findall(text):
        code = re.sub(r"[ -]", "", found)
        if len(set(code)) > 2 and not code.endswith("000") and not _is_ramp(code):
            yield code.lower()


def _tells(word: str, common: Container[str]) -> bool:
    return len(word) >= SHORTEST_WORD and not any(is_thing(each) or each in common for each in spellings(word))


def _is_ramp(code: str) -> bool:
    """12345 is an example, and no place."""
    return code.isdecimal() and {int(other) - int(one) for one, other in pairwise(code)} <= {1, -1}
