"""What was done to which attribute by which rule, without a value: the stuff of a report."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from services.deid.domain.dataset import Element
from services.deid.domain.marks import PSEUDONYMS
from services.deid.domain.rules import Action

#: More different steps than this are counted together: a data set may not make its record grow without bound.
MOST = 4096
#: Stands for the tags of those.
OTHERS = -1


class Step(NamedTuple):
    """The way of tags to an attribute (no item numbers), what was done to it, and by which rule.

    Rules: ``basic`` (the Basic Profile's column of Table E.1-1), the name of an option, ``profile`` (a rule of the
    site's), ``supplement`` (tables/supplement.yaml), ``private``, ``safe private``, ``unlisted`` (examined: neither the
    table nor the supplement knows it).
    """

    path: tuple[int, ...]
    action: str
    rule: str

    def __str__(self) -> str:
        path = "/".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in self.path)
        return f"{path or 'others'} {self.action} by {self.rule}"


DONE = {
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "replaced",
    Action.NEW_UIDS: "new UIDs",
    Action.CLEAN_ITEMS: "items cleaned",
    Action.KEEP: "kept",
    Action.CLEAN: "cleaned",
}
#: What is done to Patient's Name and Patient ID of the object itself, whatever the table says of them.
PSEUDONYM = "pseudonym"


#: A step as it is noted: the sequences around an attribute, the attribute, what was done to it, by which rule.
_Noted = tuple[tuple[int, ...], int, Action, str]
#: What was noted of one attribute and of all in its items, and how often.
Notes = tuple[tuple[_Noted, int], ...]


class Record:
    """Counts steps; kept attributes that no rule speaks of are no step."""

    def __init__(self) -> None:
        self._counts: dict[_Noted, int] = {}

    def taken(self) -> Notes:
        """What was noted since this was asked for."""
        notes, self._counts = tuple(self._counts.items()), {}
        return notes

    def note(self, path: tuple[int, ...], tag: int, action: Action, rule: str) -> None:
        """Count one step."""
        _count(self._counts, (path, tag, action, rule), 1)

    def outcome(self, path: tuple[int, ...], before: Element, after: Element | None, rule: str) -> None:
        """Count what became of an attribute that was examined, if anything did."""
        if after is before:
            return
        if after is None:
            self.note(path, before.tag, Action.REMOVE, rule)
        elif after.items is None and before.value and after.value != before.value:
            self.note(path, before.tag, Action.DUMMY if after.value else Action.EMPTY, rule)


def _count(counts: dict[_Noted, int], noted: _Noted, times: int) -> None:
    if noted not in counts and len(counts) >= MOST:
        noted = ((), OTHERS, *noted[2:])
    counts[noted] = counts.get(noted, 0) + times


def steps_of(notes: Iterable[Notes]) -> Counter[Step]:
    """How often each step was done to an object, of whose attributes these are the notes."""
    counts: dict[_Noted, int] = {}
    for noted, times in chain.from_iterable(notes):
        _count(counts, noted, times)
    found: Counter[Step] = Counter()
    for (path, tag, action, rule), times in counts.items():
        done = DONE[action] if path or tag not in PSEUDONYMS else PSEUDONYM
        found[Step((*path, tag) if tag != OTHERS else (), done, rule)] += times
    return found
