"""Free text (PS3.15 annex E.3.5, Clean Descriptors): the words that are known to be harmless stay, the rest goes.

What is this patient's, what identifies by its shape (shapes.py) and what is no allowed word (words.py) is left out.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.dataset import TooMuch
from services.deid.domain.folding import fold
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.numerals import Sort, is_worded, sort_of
from services.deid.domain.recognizer import recognized
from services.deid.domain.shapes import Span, shapes
from services.deid.domain.words import allowed_words

#: A longer text is no description, and more of them no object's; characters.
LONGEST, MOST = 64 * 1024, 1024 * 1024

#: So often a text is cleaned until it stays as it is.
_ROUNDS = 4

#: Numbers, with decimals and in lists; runs of letters and digits.
_TOKEN = re.compile(
    r"(?:jpeg[ -]?2000|(?:gr[ae]y-)?(?:white|gr[ae]y) matter|\d{1,5}:1)(?![^\W_])"
    r"|\d+(?:[.,]\d+)*(?![^\W_])|(?:[^\W_]|\ufffd)+",
    re.IGNORECASE,
)
_OPENING = re.compile(r"[\s(\[<>+~#*\"'-]*")
_CLOSING = re.compile(r"[\s)\].%!?;:,\"'+*-]*")
_ODD = re.compile(r"[^\w\s!-~°±×–—…•§·]")
_STOP = re.compile(r"[.;:!?](?=\s)|[\r\n]+")
_ANY_BRACKET = re.compile(r"[()\[\]]")
_EMPTY = re.compile(r"[(\[]\s*[)\]]")
#: What stands between the parts of one number.
_TOUCHING = re.compile(r"[^\s,;()]?")
_DIGIT = re.compile(r"\d")
_SPACES = re.compile(r"  +")


class _Token(NamedTuple):
    start: int
    end: int
    sort: Sort


class FreeText:
    """Cleans the descriptions of one object, whose identifiers are known."""

    def __init__(self, names: Identifiers) -> None:
        """What is known of the object, with a plug-in that finds more where there is one."""
        self.names = names
        self._left = MOST

    def clean(self, text: str) -> str:
        """The harmless words of ``text``, "" when none are known; TooMuch when the texts of an object are too long."""
        if not text or text.isspace():
            return text
        self._left -= len(text)  # whether its answer is known already or not: every run comes to the same
        if self._left < 0:
            raise TooMuch
        return self.names.known().remember((self.names.recognizer, text), self._clean_values)

    def _clean_values(self, text: str) -> str:
        if len(text) > LONGEST:
            return ""
        return "\\".join(map(self._clean, text.split("\\")))

    def _clean(self, text: str) -> str:
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        for _ in range(_ROUNDS):
            cleaned = self._once(text)
            if cleaned == text:
                return cleaned
            text = cleaned  # what was apart may spell something when it is side by side
        return ""

    def _once(self, text: str) -> str:
        removed = sorted((*self.names.spans(text), *shapes(text), *recognized(self.names.recognizer, text)))
        return _joined(text, _without_strays(text, list(_tokens(text, removed))))


def _tokens(text: str, removed: list[Span]) -> Iterator[_Token]:
    """Every token and what it is: nothing that may stay where a span touches it. Spans are sorted."""
    at, reach = 0, 0
    before = Sort.GONE
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        while at < len(removed) and removed[at][0] < end:
            reach = max(reach, removed[at][1])
            at += 1
        number = before is Sort.NUMBER and text[start - 1 : start] in " \u00a0-"
        before = Sort.GONE if reach > start else _sort(found.group(), number)
        yield _Token(start, end, before)


def _sort(token: str, behind_number: bool) -> Sort:
    sort = sort_of(fold(token), behind_number)
    return Sort.CONTENT if sort is Sort.GONE and is_worded(token) else sort


def _without_strays(text: str, tokens: list[_Token]) -> list[_Token]:
    """Single letters and particles beside what is gone are a part of it, and numbers that touch it."""
    for order in (range(len(tokens)), reversed(range(len(tokens)))):
        for index in order:
            if _is_stray(text, tokens, index):
                tokens[index] = tokens[index]._replace(sort=Sort.GONE)
    return tokens


def _is_stray(text: str, tokens: list[_Token], index: int) -> bool:
    start, end, sort = tokens[index]
    if sort is Sort.GONE:
        return False
    beside = (*tokens[max(0, index - 1) : index], *tokens[index + 1 : index + 2])
    gone = [near for near in beside if near.sort is Sort.GONE]
    if gone and _DIGIT.search(text, start, end):
        touching = [near for near in gone if _TOUCHING.fullmatch(text, min(end, near.end), max(start, near.start))]
        return any(text[start].isdigit() or _DIGIT.search(text, near.start, near.end) for near in touching)
    if any(_is_name_beside(text, tokens[index], near) for near in gone):
        return True
    stray = sort is Sort.LETTER or text[start:end].lower() in allowed_words().particles
    return bool(gone) and stray and sort is not Sort.CONTENT


def _is_name_beside(text: str, token: _Token, gone: _Token) -> bool:
    """True for a word that is a name as well, written like one, beside what may be another: Xaver Long."""
    word, other = text[token.start : token.end], text[gone.start : gone.end]
    between = text[min(token.end, gone.end) : max(token.start, gone.start)]
    beside = between in (" ", "^") or (between == ", " and token.start < gone.start)
    return beside and word.istitle() and other.istitle() and fold(word) in allowed_words().doubtful


def _joined(text: str, tokens: list[_Token]) -> str:
    """What stays, with what stands between; "" when none of it says anything."""
    stay = [index for index, token in enumerate(tokens) if token.sort is not Sort.GONE]
    if len(stay) < len(tokens):
        while stay and tokens[stay[-1]].sort is Sort.FUNCTION:
            stay.pop()
    if not any(tokens[index].sort is Sort.CONTENT for index in stay):
        return ""
    if len(stay) == len(tokens):
        return _ODD.sub("", text)
    pieces = [_before(text, tokens, stay[0])]
    for index, following in zip(stay, [*stay[1:], None], strict=True):
        pieces.append(text[tokens[index].start : tokens[index].end])
        pieces.append(_after(text, tokens, index) if following is None else _between(text, tokens, index, following))
    return _balanced(_ODD.sub("", "".join(pieces)))


def _before(text: str, tokens: list[_Token], first: int) -> str:
    before = text[: tokens[0].start]
    return before if first == 0 and _OPENING.fullmatch(before) else ""


def _after(text: str, tokens: list[_Token], last: int) -> str:
    after = text[tokens[last].end :]
    return after if last == len(tokens) - 1 and _CLOSING.fullmatch(after) else ""


def _between(text: str, tokens: list[_Token], index: int, following: int) -> str:
    """What stands between neighbours; for what has gone a stop or the end of a line, else a space."""
    if following == index + 1:
        return text[tokens[index].end : tokens[following].start]
    stop = _STOP.search(text, tokens[following - 1].end, tokens[following].start)
    return f"{stop.group().strip(' ')} " if stop else " "


def _balanced(text: str) -> str:
    """Without brackets that nothing is in any more, or that have lost the other one."""
    if any(text.count(one) != text.count(other) for one, other in ("()", "[]")):
        text = _ANY_BRACKET.sub(" ", text)
    return _SPACES.sub(" ", _EMPTY.sub(" ", text)).strip()
