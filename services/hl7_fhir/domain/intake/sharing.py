"""How much each of several may keep of what they filled together."""

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def shares(held: Mapping[K, int], *, each: int, together: int) -> dict[K, int]:
    """What each of those who hold too much may keep, none for those who keep all.

    Nobody keeps more than ``each``. Where they hold more than ``together`` all the same, those who hold most give up
    first, down to one level for all of them: whoever holds less than that keeps it, however much others have sent.
    """
    kept = {name: min(size, each) for name, size in held.items()}
    rest, level = together, each
    for number, size in enumerate(sorted(kept.values())):
        level = rest // (len(kept) - number)
        if size > level:
            break
        rest -= size
    else:
        level = each
    return {name: min(size, level) for name, size in kept.items() if min(size, level) < held[name]}
