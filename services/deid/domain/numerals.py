"""What a word or a number of a free text is, when it may stay: numbers only as they are written of things."""

import re
from enum import Enum
from functools import cache

from services.deid.domain.folding import fold
from services.deid.domain.words import allowed_words


class Sort(Enum):
    """What a token is to the text."""

    GONE = "gone"
    CONTENT = "content"
    FUNCTION = "function"
    NUMBER = "number"
    LETTER = "letter"


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_PART = re.compile(r"[.,]")
_WITH_UNIT = re.compile(r"(\d{1,5})([^\W\d_]+)")
#: Written of things, and too short to tell people apart: dimensions, levels of the spine, kernels, parameters.
_WRITTEN = re.compile(
    r"\d{1,4}(?:x\d{1,4}){1,3}(?:mm|cm|m)?|x\d{1,3}|[1-9][dv]|\d{1,2}(?:st|nd|rd|th)|\d{1,3}(?:er|eme|e|o|a)"
    r"|(?:(?:[ctlsd]|th|lw|bw|hw|hwk|bwk|lwk)\d{1,2}){1,2}|[bhidstqu][a-z]?\d{2}[a-z]{0,2}|(?:lv|ph|im|se|ser|v|e|f|n)\d{1,3}"
    r"|(?:te|tr|ti|fa|b|nex|kv|ma|sl|thk|grappa|sense|iso)\d{1,4}|(?:covid|jpeg|mp|p|sv|mpeg)\d{1,2}|jpeg[ -]?2000"
    r"|\d{1,5}:1"
)
_CAPITALS = re.compile(r"(?:[A-Z][a-z]+|[A-Z]{4,}|^[a-z]+){2,6}\d{0,2}")
_WORDS = re.compile(r"[A-Z][a-z]+|[A-Z]+|[a-z]+")
_SHORTEST = 3
_RUNS = re.compile(r"\d+|\D+")
_WEIGHTING = re.compile(r"t[12]|[234]d")
_NUMBERED = re.compile(r"([^\W\d_]{3,})\d{1,3}|\d{1,2}([^\W\d_]{3,})")
#: Words that are names but for what they stand with.
_PHRASES = frozenset(f"{color} matter" for color in ("white", "gray", "grey", "gray-white", "grey-white"))
#: Bounds of stored values.
_TECHNICAL = frozenset(("1000", "1023", "1024", "2047", "2048", "4095", "4096"))
#: A digit is part of so long a compound at most.
_COMPOUND = 24
_DIGITS = frozenset("0123456789")


def sort_of(token: str, behind_number: bool = False) -> Sort:
    """What the folded token is; a unit counts behind a number."""
    words = allowed_words()
    if token in words.content or token in _PHRASES:
        return Sort.CONTENT
    if token in words.functions:
        return Sort.FUNCTION
    if behind_number and token in words.units:
        return Sort.CONTENT
    if len(token) == 1 and "a" <= token <= "z":
        return Sort.LETTER
    if not _DIGITS.intersection(token) or not token.isascii():
        return Sort.GONE
    if _NUMBER.fullmatch(token):
        return Sort.NUMBER if _is_small(token) else Sort.GONE
    written = _WRITTEN.fullmatch(token) or _has_unit(token) or _is_numbered(token) or _is_compound(token)
    return Sort.CONTENT if written else Sort.GONE


def _is_small(number: str) -> bool:
    """A number of up to three digits, with decimals; lists of such, but no number in groups of three."""
    first, *rest = _PART.split(number)
    if number in _TECHNICAL:
        return True
    if len(first) > 3 or any(len(part) > (6 if len(rest) == 1 else 3) for part in rest):
        return False
    return len(rest) < 2 or any(len(part) != 3 or int(part) < 256 for part in rest)


def _has_unit(token: str) -> bool:
    found = _WITH_UNIT.fullmatch(token)
    if found is None:
        return False
    number, unit = found.groups()
    return unit in allowed_words().units and (len(number) < 4 or len(unit) > 1)


def _is_numbered(token: str) -> bool:
    """A word with its number or strength: plan2, isovue300, 3phase."""
    found = _NUMBERED.fullmatch(token)
    return found is not None and found[found.lastindex or 0] in allowed_words().content


def is_worded(token: str) -> bool:
    """Words written together with capitals, such as LungNodule2; short words are parts of names as well."""
    if len(token) > _COMPOUND or not _CAPITALS.fullmatch(token):
        return False
    return all(len(word) > _SHORTEST and fold(word) in allowed_words().content for word in _WORDS.findall(token))


def _is_compound(token: str) -> bool:
    """A name of a sequence written together, such as t1sagknee: every run of letters consists of its pieces."""
    runs = _RUNS.findall(token)
    if len(token) > _COMPOUND or not _WEIGHTING.search(token) or any(len(run) > 2 for run in runs if run.isdigit()):
        return False
    return sum(run.isdigit() for run in runs) <= 3 and all(run.isdigit() or _consists(run) for run in runs)


@cache
def _longest_piece() -> int:
    return max(map(len, allowed_words().pieces))


def _consists(run: str) -> bool:
    """True when the letters are pieces one after the other."""
    pieces = allowed_words().pieces
    ends = {0}
    for end in range(1, len(run) + 1):
        shortest = 1 if len(run) == 1 else 2  # single letters would spell anything
        starts = range(max(0, end - _longest_piece()), end - shortest + 1)
        if any(start in ends and run[start:end] in pieces for start in starts):
            ends.add(end)
    return len(run) in ends
