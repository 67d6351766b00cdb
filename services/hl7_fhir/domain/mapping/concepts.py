"""Concept maps: codes of an HL7 v2 table to FHIR codes, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Concept:
    """A FHIR code; ``system`` and ``display`` where the target is a Coding."""

    code: str
    system: str = ""
    display: str = ""

    def coding(self) -> Json:
        """The FHIR Coding."""
        told = {"system": self.system, "code": self.code, "display": self.display}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class ConceptMap:
    """``codes`` by the v2 code in upper case; ``table`` is the v2 table, such as ``0001``."""

    name: str
    codes: Mapping[str, Concept]
    table: str = ""
    source: str = ""

    def find(self, code: str) -> Concept | None:
        """What ``code`` becomes; None when the map does not name it."""
        return self.codes.get(code.upper())

    def exactly(self, code: str) -> Concept | None:
        """The same for a table whose codes stand for nothing in lower case."""
        return self.codes.get(code)
