"""What headers name. Every object of a study is searched for what any of its objects names, be it of another kind."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from services.deid.domain.known_values import Noted

#: More than this is kept of no study: bytes of values, and dates. An object is searched for less at most (TooMuch).
MOST_VALUES, MOST_DATES = 64 * 1024, 64 * 1024


class Names(NamedTuple):
    """Values that name a person, a case or a place; dates of eight digits that go, and that stay, under a profile.

    ``too_many``: more than can be searched for; what they are is not kept.
    """

    noted: frozenset[Noted] = frozenset()
    dates: frozenset[str] = frozenset()
    retained: frozenset[str] = frozenset()
    too_many: bool = False


NOBODY = Names()
TOO_MANY = Names(too_many=True)


def together(one: Names, other: Names) -> Names:
    """What either names, in whatever order they are put together."""
    if one.too_many or other.too_many:
        return TOO_MANY
    if other.noted <= one.noted and other.dates <= one.dates and other.retained <= one.retained:
        return one
    found = Names(one.noted | other.noted, one.dates | other.dates, one.retained | other.retained)
    too_long = sum(len(each.value) for each in found.noted) > MOST_VALUES
    return TOO_MANY if too_long or len(found.dates) + len(found.retained) > MOST_DATES else found


def write_studies(studies: Mapping[str, Names]) -> bytes:
    """What studies name, by Study Instance UID, as a JSON document."""
    return json.dumps({uid: _plain(names) for uid, names in studies.items()}).encode()


def parse_studies(document: bytes) -> dict[str, Names]:
    """What ``write_studies`` wrote."""
    return {uid: _parse(*plain) for uid, plain in json.loads(document).items()}


def _plain(names: Names) -> list[Any]:
    noted = [(*one[:2], one.value.decode("latin-1"), one.charsets, one.place) for one in names.noted]
    return [noted, list(names.dates), list(names.retained), names.too_many]


def _parse(noted: list[Any], dates: list[str], retained: list[str], too_many: bool) -> Names:
    found = (Noted(tag, vr, text.encode("latin-1"), tuple(charsets), place) for tag, vr, text, charsets, place in noted)
    return Names(frozenset(found), frozenset(dates), frozenset(retained), too_many)
