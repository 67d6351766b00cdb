"""The query of a request for a list, read strictly: what is misspelt must not pass for a question without an answer."""

from collections.abc import Iterable

from starlette.requests import Request

#: What an integer of a database holds at most.
LARGEST = 2**63 - 1


class QueryRefused(ValueError):
    """The query can't be answered; the text says what may be asked and repeats nothing of what was."""


class Query:
    """The parameters of ``request``. QueryRefused for one that is not among ``names``, or that is there twice."""

    def __init__(self, request: Request, *names: str) -> None:
        given = request.query_params.multi_items()
        self._given = dict(given)
        if not self._given.keys() <= set(names):
            raise QueryRefused(f"the query may have {', '.join(names)}, and nothing else")
        if len(self._given) < len(given):
            raise QueryRefused("each parameter is to be said once")

    def text(self, name: str, *, may_be_empty: bool = False) -> str | None:
        """The value, None where it is not said. QueryRefused for an empty one, unless that is a value."""
        if self._given.get(name) == "" and not may_be_empty:
            raise QueryRefused(f"{name} is empty: leave it out, or say what is asked for")
        return self._given.get(name)

    def one_of(self, name: str, allowed: Iterable[str]) -> str | None:
        """One of ``allowed``, None where it is not said. QueryRefused for anything else."""
        allowed, found = tuple(allowed), self._given.get(name)
        if found is not None and found not in allowed:
            raise QueryRefused(f"{name} is one of {', '.join(allowed)}")
        return found

    def some_of(self, name: str, allowed: Iterable[str]) -> tuple[str, ...]:
        """Some of ``allowed``, with commas in between; none where it is not said. QueryRefused for anything else."""
        allowed = tuple(allowed)
        found = tuple(self._given[name].split(",")) if name in self._given else ()
        if not set(found) <= set(allowed):
            raise QueryRefused(f"{name} is one or more of {', '.join(allowed)}, with commas in between")
        return found

    def number(self, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
        """A whole number in decimal digits, ``default`` where it is not said. QueryRefused out of the bounds."""
        given = self._given.get(name, str(default))
        readable = given.isascii() and given.isdecimal() and len(given) <= len(str(LARGEST))
        if not readable or not least <= int(given) <= most:
            raise QueryRefused(f"{name} is a whole number from {least} to {most}")
        return int(given)
