"""Data types that are rows of their components."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.hl7_fhir.domain.mapping.rows import Convert, Json, Row, SegmentMap, render
from services.hl7_fhir.domain.messages.message import Repetition

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site


def converted(name: str, rows: Iterable[Row], needed: frozenset[str]) -> Convert:
    """The conversion of the data type ``name`` by rows of its components, such as ``XAD-3`` or ``XAD-1.2``.

    It makes nothing without an element that is ``needed``, where some are.
    """
    maps = (SegmentMap(name, "", tuple(rows)),)

    def made(repetition: Repetition, site: "Site") -> Json | None:
        fields = {
            f"{name}-{number}": (tuple((part,) for part in component),)
            for number, component in enumerate(repetition, 1)
            if any(component)
        }
        elements = render(maps, fields, site)
        return elements if elements and (not needed or elements.keys() & needed) else None

    return made
