"""What is told of a file beside it, searched: lines of manifest and headers, keys and metadata of objects."""

import json
import re
from collections.abc import Iterator
from typing import Any

from services.deid.domain.looking.needles import is_kept
from services.deid.domain.looking.ours import KEYS, parts
from services.deid.domain.looking.search import Patterns, whole
from services.deid.domain.profile import Profile
from services.deid.domain.terms import is_term

#: Facts of the file in its line of the manifest, whose numbers are nobody's.
_FACTS = frozenset(
    ("length", "crc32", "offset", "dataset_offset", "header_length", "pixel_offset", "pixel_length", "pixels")
)
#: Attributes in the line of the manifest (contracts/formats/manifest.py).
_CODED = {"image_type": 0x00080008, "modality": 0x00080060, "body_part": 0x00180015}
_TAG = re.compile("[0-9A-Fa-f]{8}")
_DIGEST = re.compile("[0-9a-f]{64}")


def kinds_in_document(
    document: bytes, patterns: Patterns, uids: frozenset[str], profile: Profile, ours: frozenset[str]
) -> Iterator[str]:
    """The kinds of what stands in a JSON document's strings and numbers, or in any other text as it is."""
    try:
        values = _values(json.loads(document), profile, ours)
    except ValueError:
        values = iter([document.decode("utf-8", "replace")])
    for value in values:
        if isinstance(value, str):
            yield from kinds_in_string(value, patterns, uids)
        else:
            yield from patterns.in_numbers(whole(str(value)))


def kinds_in_string(text: str, patterns: Patterns, uids: frozenset[str]) -> Iterator[str]:
    """The kinds of what stands in one string of a document; digests are random."""
    if not (len(text) == 64 and _DIGEST.fullmatch(text)):
        yield from patterns.in_text(text.casefold(), uids)


def _values(value: Any, profile: Profile, ours: frozenset[str]) -> Iterator[str | int | float]:
    """Strings and numbers; keys are tags and names of ours."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in KEYS:
                yield from (one for one in _values(each, profile, ours) if not _is_ours(one, ours))
            elif name in _FACTS:
                yield from (one for one in _values(each, profile, ours) if isinstance(one, str))
            elif name in _CODED or _TAG.fullmatch(name):
                yield from _of_attribute(_CODED.get(name) or int(name, 16), each, profile, ours)
            else:
                yield from _values(each, profile, ours)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, profile, ours)
    elif isinstance(value, (str, int, float)):
        yield value


def _of_attribute(tag: int, value: Any, profile: Profile, ours: frozenset[str]) -> Iterator[str | int | float]:
    """What an attribute says beside what stays by intention and the terms of the standard."""
    if not is_kept(tag, profile):
        yield from (
            each for each in _values(value, profile, ours) if not (isinstance(each, str) and is_term(tag, each))
        )


def _is_ours(value: str | float, ours: frozenset[str]) -> bool:
    return isinstance(value, str) and ours.issuperset(parts(value.casefold()))
