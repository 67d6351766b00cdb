"""Who holds a bearer token of this site at this moment: whose was withdrawn is told nothing more."""

from collections.abc import Callable
from pathlib import Path

from shared.http import Tokens
from shared.watched import Watched

#: Whether the client with this name may still be told of patients.
IsKnown = Callable[[str], bool]


def anybody(_: str) -> bool:
    """Where there are no tokens, nobody's can be withdrawn."""
    return True


def holders(path: Path | None) -> IsKnown:
    """By the file of tokens as it is now; BindRefused or OSError at first, a mistake later changes nothing."""
    if path is None:
        return anybody
    tokens = Watched("tokens", [path], lambda: Tokens.load(path))
    return lambda who: who in tokens.get().holders
