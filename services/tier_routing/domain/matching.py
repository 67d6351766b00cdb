"""What a rule of the policy may look at, and when one rule hides another.

Values are compared without regard to case; ``*`` and ``?`` stand for any and for one character. DICOM attributes:
Modality (0008,0060), Body Part Examined (0018,0015), Station Name (0008,1010), Study Date (0008,0020).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

#: Stand-ins for what a wildcard may stand for, from characters that no value has.
_NOTHING, _MUCH = "", "\x01\x02\x03"


@dataclass(frozen=True, order=True)
class Trait:
    """The routing attributes of one instance; None where it has none."""

    modality: str | None = None
    body_part: str | None = None
    station_name: str | None = None
    study_date: date | None = None


@dataclass(frozen=True)
class Arrival:
    """A batch as the rules see it: the distinct traits of its instances and where it came from."""

    traits: tuple[Trait, ...]
    received: date
    source_ae: str | None = None
    priorities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Age:
    """An age of a study in days: at least ``over`` and less than ``under``, where given."""

    over: int | None = None
    under: int | None = None

    def contains(self, days: int) -> bool:
        """Whether a study of ``days`` days has this age."""
        return (self.over is None or days >= self.over) and (self.under is None or days < self.under)

    def covers(self, other: "Age") -> bool:
        """Whether every study that has the ``other`` age has this one."""
        below = self.over is None or (other.over is not None and other.over >= self.over)
        above = self.under is None or (other.under is not None and other.under <= self.under)
        return below and above


@dataclass(frozen=True)
class Match:
    """The conditions of a rule: each that is given must hold, and one of its values is enough."""

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    station_name: tuple[str, ...] = ()
    source_ae: tuple[str, ...] = ()
    order_priority: tuple[str, ...] = ()
    study_age: Age | None = None

    def accepts(self, arrival: Arrival) -> bool:
        """Whether one instance of the batch fulfils every condition."""
        return self._accepts_batch(arrival) and any(self._accepts_instance(arrival, trait) for trait in arrival.traits)

    def covers(self, other: "Match") -> bool:
        """Whether this one accepts every batch that the ``other`` accepts, so that a later ``other`` is never asked."""
        lists = (
            (self.modality, other.modality),
            (self.body_part, other.body_part),
            (self.station_name, other.station_name),
            (self.source_ae, other.source_ae),
            (self.order_priority, other.order_priority),
        )
        return all(_covers(mine, theirs) for mine, theirs in lists) and self._covers_age(other)

    def _accepts_batch(self, arrival: Arrival) -> bool:
        sources = () if arrival.source_ae is None else (arrival.source_ae,)
        return _accepts(self.source_ae, sources) and _accepts(self.order_priority, arrival.priorities)

    def _accepts_instance(self, arrival: Arrival, trait: Trait) -> bool:
        attributes = (
            (self.modality, trait.modality),
            (self.body_part, trait.body_part),
            (self.station_name, trait.station_name),
        )
        return all(_accepts(wanted, () if has is None else (has,)) for wanted, has in attributes) and (
            self.study_age is None or _has_age(self.study_age, trait.study_date, arrival.received)
        )

    def _covers_age(self, other: "Match") -> bool:
        return self.study_age is None or (other.study_age is not None and self.study_age.covers(other.study_age))


def _has_age(age: Age, study_date: date | None, received: date) -> bool:
    return study_date is not None and age.contains((received - study_date).days)


def _accepts(patterns: tuple[str, ...], values: Iterable[str]) -> bool:
    """No pattern means no condition; otherwise one value must be like one pattern."""
    return not patterns or any(_like(value, pattern) for value in values for pattern in patterns)


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value.strip().upper(), pattern.strip().upper().replace("[", "[[]"))


def _covers(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return not mine or (bool(theirs) and all(any(_hides(wide, narrow) for wide in mine) for narrow in theirs))


def _hides(wide: str, narrow: str) -> bool:
    """Whether every value like ``narrow`` is like ``wide``: its wildcards are tried with nothing and with much."""
    probes = (narrow.replace("*", filling).replace("?", "\x04") for filling in (_NOTHING, _MUCH))
    return all(_like(probe, wide) for probe in probes)
