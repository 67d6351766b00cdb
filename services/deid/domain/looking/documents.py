"""What is told of a file beside it, searched: lines of manifest and headers, keys and metadata of objects."""

import json
import re
from collections.abc import Iterator
from typing import Any

from services.deid.domain.looking.needles import is_kept
from services.deid.domain.looking.ours import KEYS, parts
from services.deid.domain.looking.search import Patterns
from services.deid.domain.profile import Profile
from services.deid.domain.terms import is_term

#: Facts of the file in its line of the manifest, whose numbers are nobody's.
_FACTS = frozenset(
    ("length", "crc32", "offset", "dataset_offset", "header_length", "pixel_offset", "pixel_length", "pixels")
)
#: Attributes in the line of the manifest (contracts/formats/manifest.py).
_CODED = {"image_type": 0x00080008, "modality": 0x00080060, "body_part": 0x00180015}
_TAG = re.compile("[0-9A-Fa-f]{8}")
_DIGEST = re.compile("[0-9a-f]+")


class Number(str):
    """A number of a JSON document as it is written there."""

    __slots__ = ()


def kinds_in_document(
    document: bytes, patterns: Patterns, uids: frozenset[str], profile: Profile, ours: frozenset[str]
) -> Iterator[str]:
    """The kinds of what stands in a JSON document's strings and numbers, or in any other text as it is."""
    try:
        values = _values(json.loads(document, parse_int=Number, parse_float=Number), profile, ours)
    except ValueError:
        values = iter([document.decode("utf-8", "replace")])
    for value in values:
        yield from patterns.in_numbers(value) if isinstance(value, Number) else kinds_in_string(value, patterns, uids)


def kinds_in_string(text: str, patterns: Patterns, uids: frozenset[str]) -> Iterator[str]:
    """The kinds of what stands in one string of a document; tokens and digests are random, and count as a whole."""
    if len(text) in (32, 64) and _DIGEST.fullmatch(text):
        yield from (kind for kind in (patterns.kinds.get(text),) if kind)
    else:
        yield from patterns.in_text(text.casefold(), uids)


def _values(value: Any, profile: Profile, ours: frozenset[str]) -> Iterator[str]:
    """Strings and numbers; keys are tags and names of ours."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in KEYS:
                yield from (one for one in _values(each, profile, ours) if not _is_ours(one, ours))
            elif name in _FACTS:
                yield from (one for one in _values(each, profile, ours) if not isinstance(one, Number))
            elif name in _CODED or _TAG.fullmatch(name):
                yield from _of_attribute(_CODED.get(name) or int(name, 16), each, profile, ours)
            else:
                yield from _values(each, profile, ours)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, profile, ours)
    elif isinstance(value, str):
        yield value


def _of_attribute(tag: int, value: Any, profile: Profile, ours: frozenset[str]) -> Iterator[str]:
    """What an attribute says beside what stays by intention and the terms of the standard."""
    if not is_kept(tag, profile):
        said = _values(value, profile, ours)
        yield from (each for each in said if isinstance(each, Number) or not is_term(tag, each))


def _is_ours(value: str, ours: frozenset[str]) -> bool:
    return ours.issuperset(parts(value.casefold()))
