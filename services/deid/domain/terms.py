"""Defined terms and enumerated values of attributes (PS3.3), as tables/defined_terms.yaml has them."""

from functools import cache
from importlib.resources import files

import yaml


def is_term(tag: int, value: str) -> bool:
    """Whether the standard defines ``value`` for the attribute, so that it says what the standard says, and nobody's
    name: MONOCHROME2 as Photometric Interpretation."""
    return value in _terms().get(tag, ())


@cache
def _terms() -> dict[int, frozenset[str]]:
    """The terms that ship with the service, read once."""
    table = yaml.safe_load((files("services.deid.domain") / "tables" / "defined_terms.yaml").read_text("utf-8"))
    return {int(tag, 16): frozenset(term.strip() for term in listed.split("|")) for tag, listed in table.items()}
