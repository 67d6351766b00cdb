"""The engine of the maps: rows that say which field becomes which FHIR element, and how.

A row is data (``services/hl7_fhir/maps``); this module applies compiled rows to what is known of one resource, field by
field. What a row reads and what it leaves is traced, for the report of losses.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.hl7_fhir.domain.messages.message import Field, Repetition

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

Json = dict[str, Any]

#: Field names such as ``PID-5`` to their values.
Fields = Mapping[str, Field]

#: One repetition of a field to a FHIR value, None when nothing in it can be said.
Convert = Callable[[Repetition, "Site"], Any]
#: The two ends of a period, each the text of a time, to a FHIR value.
Span = Callable[[str, str, "Site"], Any]
#: Whether a row applies.
Condition = Callable[[Fields], bool]
#: Changes elements in a way that no path can say: ``(elements, value, site)``, whether it did.
Apply = Callable[[Json, Field, "Site"], bool]

#: A step of an element's path: a name, and for a list None (no list), "" (a new item) or the item's label.
Step = tuple[str, str | None]

#: Stands in a shape for the row's value.
VALUE = "$"


@dataclass(frozen=True)
class Place:
    """A field, or a component or subcomponent of it; 0 stands for all."""

    field: str
    component: int = 0
    subcomponent: int = 0

    def of(self, repetition: Repetition) -> Repetition:
        """The part of ``repetition`` that is meant, as a repetition of its own; empty when it is not there."""
        if not self.component:
            return repetition
        if self.component > len(repetition):
            return ()
        parts = repetition[self.component - 1]
        if not self.subcomponent:
            return tuple((part,) for part in parts)
        return ((parts[self.subcomponent - 1],),) if self.subcomponent <= len(parts) else ()


@dataclass(frozen=True)
class Row:
    """One row of a map.

    ``reads`` are the components that the conversion looks at, empty for all. ``end`` makes a period of two fields.
    ``unless`` names elements that make the row superfluous when they are there. ``refers`` is the resource type that
    the value refers to. ``element`` is the path as written.
    """

    place: Place
    element: str
    path: tuple[Step, ...]
    convert: Convert
    reads: frozenset[int] = frozenset()
    end: Place | None = None
    span: Span | None = None
    condition: Condition | None = None
    asks: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    shape: Any = None
    constant: Any = None
    apply: Apply | None = None
    refers: str = ""
    written: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentMap:
    """The rows of one segment for one resource type; ``each`` is the list element of a segment that repeats."""

    segment: str
    target: str
    rows: tuple[Row, ...]
    each: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """The guide's name, such as ``PID[Patient]``."""
        return f"{self.segment}[{self.target}]"


@dataclass(frozen=True)
class Made:
    """The body that ``fields`` alone make, for the Patient with id ``owner``."""

    fields: Fields = field(repr=False)
    owner: str
    body: Json = field(repr=False)


@dataclass
class Trace:
    """What became of the fields: which components were read (none for all), and the repetitions with no place."""

    read: dict[str, frozenset[int]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    referred: list[tuple[str, Repetition]] = field(default_factory=list)

    def note(self, place: Place, row: Row) -> None:
        """``row`` has made something of ``place``."""
        reads = frozenset((place.component,)) if place.component else row.reads
        known = self.read.get(place.field)
        if known is None:
            self.read[place.field] = reads
        elif known:
            self.read[place.field] = known | reads if reads else frozenset()


def render(maps: Iterable[SegmentMap], fields: Fields, site: "Site", trace: Trace | None = None) -> Json:
    """The FHIR elements that ``maps`` make of ``fields``."""
    elements: Json = {}
    labelled: dict[str, Any] = {}
    for each in maps:
        if not each.each:
            _rows(each.rows, fields, site, elements, labelled, trace)
        elif each.segment in fields:
            _repeated(each, fields, site, elements, trace)
    return elements


def occurrence(segment: str, number: int) -> str:
    """The name in a record of the ``number``-th segment of a kind that repeats: ``NK1``, ``NK1:2`` …"""
    return segment if number == 1 else f"{segment}:{number}"


def _repeated(each: SegmentMap, fields: Fields, site: "Site", elements: Json, trace: Trace | None) -> None:
    """Every occurrence of the segment is an item of the list ``each.each``."""
    count = fields[each.segment]
    for number in range(1, (int(count[0][0][0]) if count else 0) + 1):
        prefix = occurrence(each.segment, number) + "-"
        own = {
            f"{each.segment}-{name[len(prefix) :]}": value for name, value in fields.items() if name.startswith(prefix)
        }
        seen = Trace() if trace else None
        item: Json = {}
        _rows(each.rows, own, site, item, {}, seen)
        if item and item not in elements.setdefault(each.each, []):
            elements[each.each].append(item)
        if trace and seen:
            trace.read.update({prefix + name.partition("-")[2]: reads for name, reads in seen.read.items()})
            trace.referred += seen.referred


def _rows(
    rows: Iterable[Row],
    fields: Fields,
    site: "Site",
    elements: Json,
    labelled: dict[str, Any],
    trace: Trace | None,
) -> None:
    for row in rows:
        value = fields.get(row.place.field, ())
        if not value and row.constant is None and row.end is None:
            continue
        if row.condition is not None and not row.condition(fields):
            continue
        if row.unless and any(name in elements for name in row.unless):
            continue
        _row(row, value, fields, site, elements, labelled, trace)


def _row(
    row: Row,
    value: Field,
    fields: Fields,
    site: "Site",
    elements: Json,
    labelled: dict[str, Any],
    trace: Trace | None,
) -> None:
    if row.constant is not None:
        _put(elements, labelled, row, row.constant)
        if trace and value:
            trace.note(row.place, row)
    elif row.apply is not None:
        if row.apply(elements, value, site) and trace:
            trace.note(row.place, row)
    elif row.end is not None and row.span is not None:
        _spanned(row, value, fields, site, elements, labelled, trace)
    else:
        _repetitions(row, value, site, elements, labelled, trace)


def _repetitions(
    row: Row, value: Field, site: "Site", elements: Json, labelled: dict[str, Any], trace: Trace | None
) -> None:
    for number, whole in enumerate(value, 1):
        repetition = row.place.of(whole) if row.place.component else whole
        made = row.convert(repetition, site) if repetition else None
        if made is None:
            continue
        if _put(elements, labelled, row, made):
            if trace:
                trace.note(row.place, row)
                if row.refers:
                    trace.referred.append((row.refers, repetition))
        elif trace and number > 1:
            trace.left.append(f"{row.place.field}~{number}")


def _spanned(
    row: Row,
    value: Field,
    fields: Fields,
    site: "Site",
    elements: Json,
    labelled: dict[str, Any],
    trace: Trace | None,
) -> None:
    if row.end is None or row.span is None:
        return
    ends = fields.get(row.end.field, ())
    start, end = text_at(row.place, value), text_at(row.end, ends)
    made = row.span(start, end, site) if start or end else None
    if made is not None and _put(elements, labelled, row, made) and trace:
        for place, sent in ((row.place, start), (row.end, end)):
            if sent:
                trace.note(place, row)


def text_at(place: Place, value: Field) -> str:
    """The text at ``place`` in the first repetition of ``value``, empty when there is none."""
    found = place.of(value[0]) if value else ()
    text = found[0][0].strip() if found and found[0] else ""
    return "" if text == '""' else text


def _put(elements: Json, labelled: dict[str, Any], row: Row, value: Any) -> bool:
    """Put ``value`` where the row's path leads; whether it stands there now. What came first stays."""
    shaped = _shaped(row.shape, value) if row.shape is not None else value
    node, where = elements, ""
    for name, label in row.path[:-1]:
        where += f".{name}[{label}]"
        node = _child(node, labelled, name, label, where)
    name, label = row.path[-1]
    if label is None:
        return bool(node.setdefault(name, shaped) == shaped)
    items = node.setdefault(name, [])
    if not label:
        if shaped not in items:
            items.append(shaped)
        return True
    where += f".{name}[{label}]"
    if where not in labelled:
        labelled[where] = shaped
        items.append(shaped)
    return bool(labelled[where] == shaped)


def _child(node: Json, labelled: dict[str, Any], name: str, label: str | None, where: str) -> Json:
    child: Json
    if label is None:
        child = node.setdefault(name, {})
        return child
    if label and where in labelled:
        child = labelled[where]
        return child
    child = {}
    node.setdefault(name, []).append(child)
    if label:
        labelled[where] = child
    return child


def _shaped(shape: Any, value: Any) -> Any:
    """A copy of ``shape`` with ``value`` where ``$`` stands."""
    if shape == VALUE:
        return value
    if isinstance(shape, dict):
        return {name: _shaped(part, value) for name, part in shape.items()}
    if isinstance(shape, list):
        return [_shaped(part, value) for part in shape]
    return shape
