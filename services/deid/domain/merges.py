"""Which patient a patient goes on in, by the match tokens of merges (HL7 A40) in whatever order they were heard."""

from collections.abc import Mapping
from typing import NamedTuple


class Link(NamedTuple):
    """A patient's record goes on in that of ``survivor``; ``told`` is when that was said, seconds since 1970."""

    survivor: str
    told: float


def chain(token: str, links: Mapping[str, Link]) -> tuple[str, ...]:
    """From ``token`` to the patient who goes on, who is last; of merges in a circle the oldest does not count."""
    path: list[str] = [token]
    told: list[float] = []
    while (link := links.get(path[-1])) is not None:
        told.append(link.told)
        if link.survivor in path:
            circle = range(path.index(link.survivor), len(path))
            oldest = min(circle, key=lambda place: (told[place], path[place]))
            return tuple(path[: oldest + 1])
        path.append(link.survivor)
    return tuple(path)


class Outdated(NamedTuple):
    """A patient (by match token) who is out under ``pseudonym`` in ``packs`` and would go out under ``now``."""

    project: str
    person: str
    pseudonym: str
    now: str
    packs: tuple[str, ...]
