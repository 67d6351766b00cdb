"""The words that may stay in free text, as tables/allowed_words.json has them."""

from dataclasses import dataclass
from functools import cache

from services.deid.domain.tables import shipped


@dataclass(frozen=True)
class Words:
    """``content`` says something alone, ``functions`` do not; ``units`` stand behind a number, ``pieces`` beside a
    digit; ``particles`` and ``titles`` are parts of names, and ``doubtful`` words are names as well; ``months`` are the
    names of the twelve. All are folded (folding.py)."""

    content: frozenset[str]
    functions: frozenset[str]
    units: frozenset[str]
    pieces: frozenset[str]
    particles: frozenset[str]
    titles: frozenset[str]
    doubtful: frozenset[str]
    months: tuple[tuple[str, ...], ...]


@cache
def allowed_words() -> Words:
    """The words that ship with the service, read once."""
    table = shipped("allowed_words.json")
    sets = {key: frozenset(" ".join(lines).split()) for key, lines in table.items() if key not in ("notice", "months")}
    return Words(
        sets["words"] | sets["standard_words"] | sets["inflected_words"],
        sets["function_words"],
        sets["units"],
        sets["pieces"],
        sets["particles"],
        sets["titles"],
        sets["doubtful_words"],
        tuple(tuple(names.split()) for names in table["months"]),
    )
