"""What was done to which attribute by which rule, without a value: the stuff of a report."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from services.deid.domain.dataset import Element
from services.deid.domain.rules import Action

#: More different steps than this are counted together: a data set may not make its record grow without bound.
MOST = 4096


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
        self.steps: Counter[Step] = Counter()

    def note(self, path: tuple[int, ...], tag: int, action: Action, rule: str) -> None:
        """Count one step."""
        step = Step((*path, tag), DONE[action], rule)
        if len(self.steps) >= MOST and step not in self.steps:
            step = Step((), step.action, rule)
        self.steps[step] += 1

    def outcome(self, path: tuple[int, ...], before: Element, after: Element | None, rule: str) -> None:
        """Count what became of an attribute that was examined, if anything did."""
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
