"""A QIDO-RS query (PS3.18 section 10.6, matching as PS3.4 section C.2.2.2), read once and checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from services.catalog.domain.attributes import BY_NAME, Key, Level, is_returned
from shared.errors import Unprocessable

#: The most results of one answer.
MOST = 1000
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_UID = re.compile(r"[0-9.]{1,64}")


#: The columns that say who a patient is.
OF_PERSON = frozenset(("patient_id", "patient_issuer"))


class BadQuery(Unprocessable):
    """The query cannot be understood: HTTP 400. The reason names the parameter, never its value."""


@dataclass(frozen=True)
class Match:
    """One condition: ``one`` of the values, a ``like`` pattern with ``*`` and ``?``, or a ``range`` with open ends."""

    key: Key
    how: Literal["one", "like", "range"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """A whole query. ``unused`` names parameters that this level cannot serve (a warning, not an error).

    ``person`` are the match tokens of a patient with several ids since records were merged: either names all studies.
    ``capped`` tells that ``limit`` is the server's own, so that the client is to be told when more would have come.
    """

    level: Level
    matches: tuple[Match, ...] = ()
    limit: int = MOST
    capped: bool = True
    offset: int = 0
    fuzzy: bool = False
    unused: tuple[str, ...] = field(default=())
    person: frozenset[str] = frozenset()

    def ids(self) -> tuple[frozenset[str], frozenset[str]]:
        """The patient ids and issuers that are asked for as they are; those with wildcards name nobody."""
        exact = [match for match in self.matches if match.how == "one"]
        ids = frozenset(value for match in exact if match.key.column == "patient_id" for value in match.values)
        issuers = frozenset(value for match in exact if match.key.column == "patient_issuer" for value in match.values)
        return ids, issuers


def read_query(level: Level, parameters: Iterable[tuple[str, str]], fixed: Iterable[tuple[str, str]] = ()) -> Search:
    """The search for ``level`` from query parameters and the UIDs ``fixed`` by the path; BadQuery for bad ones.

    ``includefield`` changes nothing, because whatever the index holds is returned; what it does not hold is unused.
    """
    matches = [Match(BY_NAME[name], "one", (value,)) for name, value in fixed]
    numbers, fuzzy, unused = {"limit": MOST + 1, "offset": 0}, False, []
    for name, value in parameters:
        if name in numbers:
            numbers[name] = _count(name, value)
        elif name == "fuzzymatching":
            fuzzy = value.lower() == "true"
        elif name == "includefield" and all(is_returned(level, field) for field in value.split(",") if field):
            continue
        elif (key := BY_NAME.get(name)) is not None and key.level.value <= level.value:
            matches.extend(_match(key, value))
        else:
            unused.append(name)
    return Search(
        level=level,
        matches=tuple(matches),
        limit=min(numbers["limit"], MOST),
        capped=numbers["limit"] > MOST,
        offset=numbers["offset"],
        fuzzy=fuzzy,
        unused=tuple(unused),
    )


def _count(name: str, value: str) -> int:
    if not value.isdecimal():
        raise BadQuery(f"{name}-is-no-count")
    return min(int(value), 2**31)


def _match(key: Key, value: str) -> list[Match]:
    """No condition for an empty value or ``*`` (universal matching, PS3.4 section C.2.2.2.3)."""
    if value in ("", "*", '""'):
        return []
    if key.vr == "UI":
        return [Match(key, "one", _uids(key, value))]
    if key.vr in ("DA", "TM"):
        return [_range(key, value)]
    if key.vr == "IS":
        return [Match(key, "one", (str(_count(key.keyword, value)),))]
    if "*" in value or "?" in value:
        return [Match(key, "like", (value,))]
    return [Match(key, "one", (value,))]


def _uids(key: Key, value: str) -> tuple[str, ...]:
    uids = tuple(re.split(r"[,\\]", value))
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise BadQuery(f"{key.keyword}-is-no-uid")
    return uids


def _range(key: Key, value: str) -> Match:
    """A date or time, or a range of them with a hyphen (PS3.4 section C.2.2.2.5)."""
    shape = _DATE if key.vr == "DA" else _TIME
    begin, hyphen, end = value.partition("-")
    ends = (begin, end) if hyphen else (begin, begin)
    if not any(ends) or not all(part == "" or shape.fullmatch(part) for part in ends):
        raise BadQuery(f"{key.keyword}-is-no-{'date' if key.vr == 'DA' else 'time'}")
    return Match(key, "range", ends)
