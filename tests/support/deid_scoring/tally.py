"""The ten actions of the MIDI-B challenge and their weights (arXiv 2507.23608), counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import comb

#: Category → weight and actions: HIPAA, DICOM, best practice.
CATEGORIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "HIPAA": (70, ("text_removed", "date_shifted", "uid_changed", "pixels_hidden")),
    "DICOM": (20, ("tag_retained", "text_notnull", "uid_consistent", "patid_consistent")),
    "best practice": (10, ("text_retained", "pixels_retained")),
}
ACTIONS = tuple(action for _weight, actions in CATEGORIES.values() for action in actions)


@dataclass
class Tally:
    """How many actions were asked for and done, and where the others are."""

    asked: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, action: str, passed: bool, where: str, why: str = "") -> None:
        """One action, and where it was asked for."""
        self.asked[action] += 1
        self.done[action] += passed
        if not passed:
            self.failures.append((action, where, why))

    def failed(self, *actions: str) -> list[tuple[str, str, str]]:
        """The failures of these actions."""
        return [each for each in self.failures if each[0] in actions]

    def rate(self, action: str) -> float | None:
        """The share that was done, None when nothing was asked."""
        return self.done[action] / self.asked[action] if self.asked[action] else None

    def total(self) -> float:
        """Percent, by weight; a category of which nothing was asked has no weight."""
        reached = weights = 0.0
        for weight, actions in CATEGORIES.values():
            asked = sum(self.asked[action] for action in actions)
            if asked:
                weights += weight
                reached += weight * sum(self.done[action] for action in actions) / asked
        return 100 * reached / weights if weights else 0.0

    def add(self, others: Iterable["Tally"]) -> "Tally":
        """All of them in one."""
        for other in others:
            self.asked += other.asked
            self.done += other.done
            self.failures += other.failures
        return self


def lower_bound(done: int, asked: int, confidence: float = 0.95) -> float:
    """The one-sided lower bound of a share (Clopper and Pearson, 1934)."""
    if not done:
        return 0.0
    low, high = 0.0, done / asked
    for _ in range(60):
        middle = (low + high) / 2
        at_least = sum(comb(asked, n) * middle**n * (1 - middle) ** (asked - n) for n in range(done, asked + 1))
        low, high = (middle, high) if at_least < 1 - confidence else (low, middle)
    return low
