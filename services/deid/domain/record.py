"""What was done to which attribute by which rule, without a value: the stuff of a report."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from services.deid.domain.dataset import Element
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


class Record:
    """Counts steps; kept attributes that no rule speaks of are no step."""

    def __init__(self) -> None:
        self._counts: dict[tuple[tuple[int, ...], int, Action, str], int] = {}

    @property
    def steps(self) -> Counter[Step]:
        """How often each step was done."""
        found: Counter[Step] = Counter()
        for (path, tag, action, rule), count in self._counts.items():
            found[Step((*path, tag) if tag != OTHERS else (), DONE[action], rule)] += count
        return found

    def note(self, path: tuple[int, ...], tag: int, action: Action, rule: str) -> None:
        """Count one step."""
        step = (path, tag, action, rule)
        if step not in self._counts and len(self._counts) >= MOST:
            step = ((), OTHERS, action, rule)
        self._counts[step] = self._counts.get(step, 0) + 1

    def outcome(self, path: tuple[int, ...], before: Element, after: Element | None, rule: str) -> None:
        """Count what became of an attribute that was examined, if anything did."""
        if after is before:
            return
        if after is None:
            self.note(path, before.tag, Action.REMOVE, rule)
        elif after.items is None and before.value and after.value != before.value:
            self.note(path, before.tag, Action.DUMMY if after.value else Action.EMPTY, rule)


def total(steps: Iterable[Counter[Step]]) -> Counter[Step]:
    """The steps of several objects together."""
    found: Counter[Step] = Counter()
    for one in steps:
        found.update(one)
    return found
