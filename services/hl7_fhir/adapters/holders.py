"""Who holds a bearer token of this site at this moment: whose was withdrawn is told nothing more."""

import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from shared.http import Tokens
from shared.watched import Watched

#: Seconds after which a file that was changed is as it is meant to be.
SETTLED = 2.0


class Standing(Enum):
    """Whether a client may be told of patients; UNSURE: not now, and it is known ``SETTLED`` later."""

    KNOWN, UNSURE, WITHDRAWN = range(3)


#: How the client with this name stands at this moment.
StandingOf = Callable[[str], Standing]


def anybody(_: str) -> Standing:
    """Where there are no tokens, nobody's can be withdrawn."""
    return Standing.KNOWN


def holders(path: Path | None, *, clock: Callable[[], float] = time.time) -> StandingOf:
    """By the file of tokens as it is now; BindRefused or OSError at first, a mistake later changes nothing.

    Nobody's is withdrawn by a file that somebody may still be writing: what ends with it comes back by no later line.
    """
    if path is None:
        return anybody
    tokens = Watched("tokens", [path], lambda: Tokens.load(path))

    def standing_of(who: str) -> Standing:
        if who in tokens.get().holders:
            return Standing.KNOWN
        return Standing.UNSURE if _is_being_written(path, clock()) else Standing.WITHDRAWN

    return standing_of


def _is_being_written(path: Path, now: float) -> bool:
    try:
        return 0 <= now - path.stat().st_mtime < SETTLED
    except OSError:
        return False
