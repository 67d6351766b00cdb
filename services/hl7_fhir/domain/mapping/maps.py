"""The compiled maps of a site: by resource type, with what they read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from services.hl7_fhir.domain.mapping.concepts import ConceptMap
from services.hl7_fhir.domain.mapping.rows import Place, Row, SegmentMap

ACCESSION = "identifier[accession]"

#: The name in a record for the accession numbers that were chosen by the rules of whoever said them.
CHOSEN = "accession"

#: Where a data type names the issuer, by how its conversions are called (domain/mapping/issuers.py).
_ISSUED = {"CX[": 4, "EI[": 2}

#: Fields that are kept although no row reads them: worklists, an appointment's times and a document's order.
KEPT: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "ServiceRequest": {
        "ORC": (1, 2, 3, 5, 7, 10, 15, 17),
        "OBR": (12, 13, 20, 21, 24, 27, 30, 34, 36, 44),
        "TQ1": (7, 8, 9),
        "IPC": (1, 2, 3, 4, 5, 6, 7, 8, 9),
        "ZDS": (1,),
    },
    "Appointment": {"SCH": (9, 10, 11, 26, 27), "AIS": (3, 4, 7, 8), "NTE": (3,)},
    "DocumentReference": {"TXA": (14, 15)},
}

#: Segments of which several are read as one (NTE of an order, OBX of a report); code says which.
_JOINED = {
    "ServiceRequest": ("NTE",),
    "Appointment": ("NTE",),
    "DiagnosticReport": ("OBX",),
    "DocumentReference": ("OBX",),
}


@dataclass(frozen=True)
class DatatypeMap:
    """A conversion by the guide's name; ``reads`` are the components that it looks at, empty for all of them.

    ``rows`` say which component becomes which element; nothing is said without one that is ``needed``, where some are.
    A conversion without rows is a function.
    """

    name: str
    reads: frozenset[int]
    source: str = ""
    rows: tuple[Row, ...] = ()
    needed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Maps:
    """Segment maps in the order in which they apply, data type maps and concept maps by name."""

    segments: tuple[SegmentMap, ...]
    datatypes: Mapping[str, DatatypeMap] = field(default_factory=dict)
    concepts: Mapping[str, ConceptMap] = field(default_factory=dict)

    def concept_map(self, name: str) -> ConceptMap:
        """The concept map called ``name``; one without codes when there is none."""
        return self.concepts.get(name) or ConceptMap(name, {})

    @cached_property
    def identifier_types(self) -> ConceptMap:
        """Types of identifiers: table 0203."""
        return self.concept_map("IdentifierType")

    @cached_property
    def coding_systems(self) -> ConceptMap:
        """Names of coding systems: table 0396."""
        return self.concept_map("CodingSystem")

    @cached_property
    def targets(self) -> Mapping[str, tuple[SegmentMap, ...]]:
        """The segment maps by resource type."""
        found: dict[str, tuple[SegmentMap, ...]] = {}
        for each in self.segments:
            found[each.target] = (*found.get(each.target, ()), each)
        return found

    def of(self, target: str) -> tuple[SegmentMap, ...]:
        """The segment maps of a resource type."""
        return self.targets.get(target, ())

    @cached_property
    def _wanted(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        return {target: _numbers(target, maps) for target, maps in self.targets.items()}

    def wanted(self, target: str) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the fields that the maps of ``target`` read or ask, or that are kept for it, by segment."""
        return self._wanted.get(target, {})

    @cached_property
    def _repeating(self) -> Mapping[str, frozenset[str]]:
        return {target: frozenset(each.segment for each in maps if each.each) for target, maps in self.targets.items()}

    def repeating(self, target: str) -> frozenset[str]:
        """The segments of ``target`` of which every occurrence counts."""
        return self._repeating.get(target, frozenset())

    def places(self, target: str, element: str) -> tuple[Place, ...]:
        """Where the value of an element comes from, first come first."""
        return tuple(row.place for each in self.of(target) for row in each.rows if row.element == element)

    @cached_property
    def accession(self) -> tuple[str, ...]:
        """The fields that hold an accession number, first come first."""
        return tuple(place.field for place in self.places("ServiceRequest", ACCESSION))

    @cached_property
    def chosen(self) -> "Maps":
        """These maps for an order whose accession number others chose than these maps would."""
        return self.with_accession((CHOSEN,))

    @cached_property
    def _issued(self) -> Mapping[str, Mapping[str, tuple[int, str]]]:
        return {target: _issued(maps) for target, maps in self.targets.items()}

    def issued(self, target: str) -> Mapping[str, tuple[int, str]]:
        """The ids of a resource type that have a default issuer: where they name theirs, and whose default it is."""
        return self._issued.get(target, {})

    def with_accession(self, fields: Iterable[str]) -> "Maps":
        """These maps with the accession number from ``fields`` only, first come first."""
        wanted = tuple(fields)
        if wanted == self.accession:
            return self
        known = [row for each in self.of("ServiceRequest") for row in each.rows if row.element == ACCESSION]
        rest = tuple(
            replace(each, rows=tuple(row for row in each.rows if (each.target, row.element) not in _TAKEN))
            for each in self.segments
        )
        if not known:
            return self
        rows = tuple(replace(known[0], place=Place(name), condition=None, asks=()) for name in wanted)
        first = next(number for number, each in enumerate(rest) if each.target == "ServiceRequest")
        own = SegmentMap("ORC", "ServiceRequest", rows, source="setting accession_fields")
        return replace(self, segments=(*rest[: first + 1], own, *rest[first + 1 :]))


_TAKEN = {("ServiceRequest", ACCESSION)}


def _numbers(target: str, maps: Iterable[SegmentMap]) -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {segment: set(numbers) for segment, numbers in KEPT.get(target, {}).items()}
    for each in maps:
        for row in each.rows:
            for name in _names(row):
                segment, _, number = name.rpartition("-")
                if number.isdecimal():
                    found.setdefault(segment, set()).add(int(number))
    for name in _JOINED.get(target, ()):
        found.pop(name, None)
    return {segment: tuple(sorted(numbers)) for segment, numbers in found.items()}


def _issued(maps: Iterable[SegmentMap]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for row in (row for each in maps for row in each.rows):
        place, whose = _ISSUED.get(row.written.get("map", "")[:3]), row.written.get("issuer", "")
        if place and whose and not row.place.component:
            found.setdefault(row.place.field, (place, whose))
    return found


def _names(row: Row) -> tuple[str, ...]:
    end = (row.end.field,) if row.end else ()
    return (row.place.field, *end, *row.asks)
