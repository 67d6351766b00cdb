"""What the documents told of a series have in common: nearly all of each is the same from slice to slice."""

import json
import re
from typing import NamedTuple

#: Longer documents are not remembered, characters.
LONGEST = 128 * 1024
_BETWEEN = "},"
#: Stands between pieces: it is in no JSON document, and in none of its strings.
_BORDER = "\0"
_EMPTY = '""'
#: JSON's strings but for escapes, and its numbers (RFC 8259 sections 6 and 7).
_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Said(NamedTuple):
    """The strings of a JSON document, keys among them, and its numbers as they are written."""

    strings: frozenset[str]
    numbers: tuple[str, ...]


class Line(NamedTuple):
    """A JSON document in pieces that end where an object does, the same without what its strings and numbers say, and
    all that they say."""

    pieces: tuple[str, ...]
    shapes: tuple[str, ...]
    said: Said

    def news(self, text: str) -> Said | None:
        """What ``text`` says that this document does not; None when it is no JSON document that is made alike.

        Pieces that differ have the same brackets, commas, strings and numbers in the same order: so what was valid JSON
        still is, and the strings of the whole are those of its pieces.
        """
        pieces = text.split(_BETWEEN)
        if len(pieces) != len(self.pieces):
            return None
        differing = [number for number, piece in enumerate(pieces) if piece != self.pieces[number]]
        new = _BORDER.join([pieces[number] for number in differing])
        bare = _STRING.sub(_EMPTY, new)
        if "\\" in new or _NUMBER.sub("0", bare) != _BORDER.join([self.shapes[number] for number in differing]):
            return None
        return Said(frozenset(_STRING.findall(new)) - self.said.strings, tuple(_NUMBER.findall(bare)))


def line_of(text: str) -> Line | None:
    """A JSON document to compare others with; None for what is none, or has escapes, or strings that end no piece."""
    pieces = text.split(_BETWEEN)
    shapes = [_shape(piece) for piece in pieces]
    if "\\" in text or len(text) > LONGEST or not all(map(_is_balanced, shapes)):
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        return None
    whole = _BORDER.join(pieces)
    said = Said(frozenset(_STRING.findall(whole)), tuple(_NUMBER.findall(_STRING.sub(_EMPTY, whole))))
    return Line(tuple(pieces), tuple(shapes), said)


def _shape(text: str) -> str:
    return _NUMBER.sub("0", _STRING.sub(_EMPTY, text))


def _is_balanced(bare: str) -> bool:
    """Whether no string begins in a piece without ending there."""
    return '"' not in bare.replace(_EMPTY, "")
