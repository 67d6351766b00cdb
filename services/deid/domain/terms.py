"""Defined terms and enumerated values of attributes (PS3.3), as tables/defined_terms.yaml has them."""

from functools import cache

from services.deid.domain.tables import shipped


def is_term(tag: int, value: str) -> bool:
    """Whether the standard defines ``value`` for the attribute, so that it says what the standard says, and nobody's
    name: MONOCHROME2 as Photometric Interpretation."""
    return value in _terms().get(tag, ())


def without_terms(tag: int, value: bytes) -> bytes:
    """A CS without what the standard defines for the attribute."""
    values = value.decode("latin-1").split("\\")
    return "\\".join("" if is_term(tag, one.strip(" \0")) else one for one in values).encode("latin-1")


@cache
def _terms() -> dict[int, frozenset[str]]:
    """The terms that ship with the service, read once."""
    table = shipped("defined_terms.yaml")
    return {int(tag, 16): frozenset(term.strip() for term in listed.split("|")) for tag, listed in table.items()}
