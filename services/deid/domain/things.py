"""Names of things that are none of a person or of one place, as tables/things.yaml has them."""

from dataclasses import dataclass
from functools import cache

from services.deid.domain.folding import fold
from services.deid.domain.tables import shipped
from services.deid.domain.words import allowed_words


@dataclass(frozen=True)
class Things:
    """``makers`` of devices and software, ``companies`` is what stands behind their names, ``places`` tell no place
    from others, ``others`` are peoples and letters, ``hosts`` publish standards. All are folded (folding.py)."""

    makers: frozenset[str]
    companies: frozenset[str]
    places: frozenset[str]
    others: frozenset[str]
    hosts: frozenset[str]


@cache
def things() -> Things:
    """The names that ship with the service, read once."""
    table = shipped("things.yaml")
    return Things(**{key: frozenset(words.split()) for key, words in table.items()})


def is_thing(word: str) -> bool:
    """Whether a word, in any case, is one of things: an allowed one (words.py), or a name of theirs."""
    words, named, folded = allowed_words(), things(), fold(word)
    allowed = (words.content, words.functions, words.units)
    return any(folded in each for each in (*allowed, named.makers, named.companies, named.places, named.others))
