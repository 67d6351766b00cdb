"""Short technical texts: whether each of their words is one of things, and their shape nobody's."""

import re
from collections.abc import Container
from functools import lru_cache

from services.deid.domain.designations import has_folder, tells_others
from services.deid.domain.folding import fold
from services.deid.domain.shapes import looks_identifying
from services.deid.domain.words import allowed_words

#: Longer texts are none.
LONGEST = 64
#: A word of so many letters is an abbreviation; one of so many beside a digit names a technique (Gauss6.00, epfid2d1).
_SHORT, _MIXED = 3, 5
#: So many digits stand together in a technical value at most.
_DIGITS = 6

#: A name of a device has so many words at most; more are a sentence.
MOST_WORDS = 6

_TOKEN = re.compile(r"[^\W_]+")
_RUNS = re.compile(r"[A-Za-z]+|\d+")


def is_technical(text: str, common: Container[str] = ()) -> bool:
    """Whether ``text`` is made of words of things, of words in ``common`` and of short codes, and of no other's.

    Of abbreviations that nobody knows there may be one: two may be a name.
    """
    if not text.isascii() or len(text) > LONGEST or is_telling(text):
        return False
    tokens = _TOKEN.findall(text)
    unknown = [token for token in tokens if not _is_known(token, common)]
    abbreviations = [token for token in unknown if token.isalpha() and len(token) > 1]
    return len(abbreviations) <= 1 and all(map(_is_code, unknown))


def are_technical(text: str, common: Container[str] = ()) -> bool:
    """Whether each of the values in ``text``, which backslashes part, is technical, and all no path."""
    return not has_folder(text) and all(is_technical(part.strip(" \0"), common) for part in text.split("\\"))


def are_designations(text: str, most: int = MOST_WORDS) -> bool:
    """Whether each of the values in ``text``, which backslashes part, is a designation, and all no path."""
    return not has_folder(text) and all(is_designation(part.strip(" \0"), most) for part in text.split("\\"))


def is_designation(text: str, most: int = MOST_WORDS) -> bool:
    """Whether ``text`` may be the name of a device or its software: a few words, and nobody's by its shape."""
    return len(text.split()) <= most and not is_telling(text)


@lru_cache(maxsize=1024)
def is_telling(text: str) -> bool:
    """Whether ``text`` has the shape of what identifies (shapes.py) or tells others than a device (designations.py);
    remembered, since objects repeat such values."""
    return looks_identifying(text) or tells_others(text)


def _is_known(token: str, common: Container[str]) -> bool:
    words, folded = allowed_words(), fold(token)
    return folded in words.content or folded in words.functions or folded in words.units or folded in common


def _is_code(token: str) -> bool:
    """A few letters, or letters and digits that are no number of a person."""
    if token.isalpha():
        return len(token) <= _SHORT
    runs = _RUNS.findall(token)
    return sum(map(str.isdigit, token)) <= _DIGITS and all(run.isdigit() or len(run) <= _MIXED for run in runs)
