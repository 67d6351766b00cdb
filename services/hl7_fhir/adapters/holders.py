"""Who holds a bearer token of this site at this moment: whose was withdrawn is told nothing more."""

import time
from collections.abc import Callable
from pathlib import Path

from shared.http import Tokens
from shared.watched import Watched

#: Whether the client with this name may still be told of patients.
IsKnown = Callable[[str], bool]

#: Seconds after which a file that was changed is as it is meant to be.
_SETTLED = 2.0


def anybody(_: str) -> bool:
    """Where there are no tokens, nobody's can be withdrawn."""
    return True


def holders(path: Path | None, *, clock: Callable[[], float] = time.time) -> IsKnown:
    """By the file of tokens as it is now; BindRefused or OSError at first, a mistake later changes nothing.

    Nobody's is withdrawn by a file that somebody may still be writing: what ends with it comes back by no later line.
    """
    if path is None:
        return anybody
    tokens = Watched("tokens", [path], lambda: Tokens.load(path))
    return lambda who: who in tokens.get().holders or _is_being_written(path, clock())


def _is_being_written(path: Path, now: float) -> bool:
    try:
        return 0 <= now - path.stat().st_mtime < _SETTLED
    except OSError:
        return False
