"""Maps as YAML: read, checked as a whole, and compiled. Every problem is told with its file and line.

::

    segments:
      PID[Patient]:
        rows:
          - {field: PID-8, element: gender, map: "CWE[code]", concepts: AdministrativeSex}
    datatypes:
      CX[Identifier]: {components: [1, 2, 4, 5, 7, 8]}
      XAD[Address]: {needed: [city], rows: [{field: XAD-3, element: city}]}
    concepts:
      AdministrativeSex: {table: "0001", codes: {F: female, M: male}}

A later document overrides an earlier one: its rows come first and replace those of the same field and element, ``drop``
removes every earlier row of an element, concept maps are extended code by code.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from services.hl7_fhir.domain.mapping.components import converted
from services.hl7_fhir.domain.mapping.concepts import Concept, ConceptMap
from services.hl7_fhir.domain.mapping.functions import Options
from services.hl7_fhir.domain.mapping.maps import DatatypeMap, Maps
from services.hl7_fhir.domain.mapping.registry import APPLIES, MAKES, REFERS, SPANS
from services.hl7_fhir.domain.mapping.row_conditions import condition_of, place_of
from services.hl7_fhir.domain.mapping.rows import VALUE, Convert, Place, Row, SegmentMap, Step
from shared.yaml_lines import DocumentRefused, LineReader, compose

_NAME = re.compile(r"([A-Z][A-Z0-9]{1,2})\[([A-Za-z]+)\]\Z")
_STEP = re.compile(r"(_?[a-z][A-Za-z0-9]*)(?:\[([a-z0-9]*)\])?\Z")
_ROW = (
    "field",
    "end",
    "element",
    "map",
    "concepts",
    "type",
    "use",
    "issuer",
    "value",
    "shape",
    "if",
    "unless",
    "apply",
)
_NOTHING = Place("")


@dataclass
class _Draft:
    """What the documents said so far."""

    segments: dict[str, SegmentMap] = field(default_factory=dict)
    datatypes: dict[str, DatatypeMap] = field(default_factory=dict)
    concepts: dict[str, ConceptMap] = field(default_factory=dict)


def read_maps(documents: Iterable[tuple[str, str]]) -> Maps:
    """The maps in ``documents``, (name, YAML text) each, the more special last; DocumentRefused."""
    draft = _Draft()
    read = [(source, compose(text, source)) for source, text in documents]
    for part in ("concepts", "datatypes", "segments"):
        for source, root in read:
            reader = _Reader(draft)
            reader.document(root, part)
            if reader.problems:
                raise DocumentRefused(source, reader.problems)
    return Maps(tuple(draft.segments.values()), draft.datatypes, draft.concepts)


class _Reader(LineReader):
    def __init__(self, draft: _Draft) -> None:
        super().__init__()
        self._draft = draft

    def document(self, root: Node, part: str) -> None:
        parts = self.mapping(root, "the maps", ("segments", "datatypes", "concepts"))
        node = parts.get(part)
        for name, value in self._entries(node, f"'{part}'") if node else ():
            getattr(self, f"_{part}")(name, value)

    def _entries(self, node: Node, what: str) -> list[tuple[Node, Node]]:
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what} must be a mapping")
            return []
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                self.refuse(key, f"'{key.value}' stands twice in {what}")
            seen.add(str(key.value))
        return list(node.value)

    def _concepts(self, key: Node, node: Node) -> None:
        name = str(key.value)
        given = self.mapping(node, f"concept map {name}", ("table", "system", "source", "codes"), ("codes",))
        told = {each: self.text(given[each], each) for each in ("table", "system", "source") if each in given}
        codes = {
            str(code.value).upper(): self._concept(value, told.get("system", ""))
            for code, value in (self._entries(given["codes"], f"codes of {name}") if "codes" in given else ())
        }
        before = self._draft.concepts.get(name, ConceptMap(name, {}))
        self._draft.concepts[name] = ConceptMap(
            name, {**before.codes, **codes}, told.get("table", before.table), told.get("source", before.source)
        )

    def _concept(self, node: Node, system: str) -> Concept:
        if isinstance(node, ScalarNode):
            return Concept(self.text(node, "a code"), system)
        given = self.mapping(node, "a code", ("code", "system", "display"), ("code",))
        told = {name: self.text(value, name) for name, value in given.items()}
        return Concept(told.get("code", ""), told.get("system", system), told.get("display", ""))

    def _datatypes(self, key: Node, node: Node) -> None:
        name = str(key.value)
        before = self._draft.datatypes.get(name, DatatypeMap(name, frozenset()))
        given = self.mapping(node, f"data type map {name}", ("components", "source", "rows", "needed"))
        rows = tuple(row for one in self._listed(given.get("rows"), "rows") if (row := self._row(one)))
        kind = name.partition("[")[0]
        if any(not row.place.field.startswith(f"{kind}-") for row in rows):
            self.refuse(given["rows"], f"rows of {name} are of its components: {kind}-1, or {kind}-1.2")
            return
        if name not in MAKES and name not in SPANS and not rows and not before.rows and "rows" not in given:
            self.refuse(key, f"there is no data type map {name}; known: {', '.join(sorted((*MAKES, *SPANS)))}")
        reads = frozenset(
            self.count(each, "a component") for each in self._listed(given.get("components"), "components")
        )
        merged = _merged(rows, before.rows)
        reads = frozenset(number for row in merged for number in _components(row)) if merged else reads
        source = self.text(given["source"], "source") if "source" in given else before.source
        needed = frozenset(self.texts(given["needed"], "needed")) if "needed" in given else before.needed
        self._draft.datatypes[name] = DatatypeMap(name, reads, source, merged, needed)

    def _listed(self, node: Node | None, what: str) -> list[Node]:
        return self.sequence(node, what) if node is not None else []

    def _segments(self, key: Node, node: Node) -> None:
        name = str(key.value)
        named = _NAME.match(name)
        if not named:
            self.refuse(key, f"'{name}' must be named like PID[Patient]")
            return
        given = self.mapping(node, f"segment map {name}", ("rows", "each", "source", "drop"))
        segment, target = named.groups()
        each = self.text(given["each"], "each") if "each" in given else ""
        source = self.text(given["source"], "source") if "source" in given else ""
        for element in self.texts(given["drop"], "drop") if "drop" in given else ():
            self._drop(target, element, given["drop"])
        rows = tuple(row for one in self._listed(given.get("rows"), "rows") if (row := self._row(one)))
        self._merge(SegmentMap(segment, target, rows, each, source))

    def _drop(self, target: str, element: str, node: Node) -> None:
        dropped = False
        for name, known in self._draft.segments.items():
            kept = tuple(row for row in known.rows if known.target != target or row.element != element)
            dropped = dropped or len(kept) != len(known.rows)
            self._draft.segments[name] = replace(known, rows=kept)
        if not dropped:
            self.refuse(node, f"no row of {target} makes '{element}'")

    def _merge(self, new: SegmentMap) -> None:
        """A site's rows come first, also before those of other segments for the same resource."""
        before = self._draft.segments.pop(new.name, None)
        if before is None:
            self._draft.segments[new.name] = new
            return
        merged = replace(before, rows=_merged(new.rows, before.rows), each=new.each or before.each)
        self._draft.segments = {new.name: merged, **self._draft.segments}

    def _row(self, node: Node) -> Row | None:
        given = self.mapping(node, "a row", _ROW, ("element",))
        problems = len(self.problems)
        place = self._place(given["field"]) if "field" in given else _NOTHING
        end = self._place(given["end"]) if "end" in given else None
        condition, asks = self._condition(given.get("if"))
        maps = self.text(given["map"], "map") if "map" in given else "ST[string]"
        applies = self.text(given["apply"], "apply") if "apply" in given else ""
        if not (given.keys() & {"field", "value"}):
            self.refuse(node, "a row has a field or a value")
        if applies and applies not in APPLIES:
            self.refuse(given["apply"], f"there is no function {applies}; known: {', '.join(sorted(APPLIES))}")
        known = self._draft.datatypes.get(maps)
        if maps not in (SPANS if end else MAKES) and not (known and known.rows and not end):
            self.refuse(given.get("map", node), f"there is no data type map '{maps}' for this row")
        options = self._options(given)
        path = self._path(given["element"]) if "element" in given else ()
        shape = self._shape(given.get("shape"))
        if len(self.problems) > problems or not path:
            return None
        return Row(
            place=place,
            element=str(given["element"].value),
            path=path,
            convert=_nothing if end else _conversion(maps, known, options),
            reads=known.reads if known else frozenset(),
            end=end,
            span=SPANS[maps] if end else None,
            condition=condition,
            asks=asks,
            unless=self.texts(given["unless"], "unless") if "unless" in given else (),
            shape=shape,
            constant=_plain(given["value"]) if "value" in given else None,
            apply=APPLIES[applies] if applies else None,
            refers=REFERS.get(maps, ""),
            written={name: str(value.value) for name, value in given.items() if isinstance(value, ScalarNode)},
        )

    def _place(self, node: Node) -> Place:
        found = place_of(self.text(node, "field"))
        if found is None:
            self.refuse(node, f"'{node.value}' is no field; write PID-5, or ORC-7.4 for a component")
            return _NOTHING
        return found

    def _condition(self, node: Node | None) -> tuple[Any, tuple[str, ...]]:
        if node is None:
            return None, ()
        found = condition_of(self.text(node, "if"))
        if found is None:
            self.refuse(node, "a condition reads 'PV1-45 not valued', 'ORC-1 equals NW' or 'OBX-2 in (ST, TX)'")
            return None, ()
        return found

    def _options(self, given: dict[str, Node]) -> Options:
        named = {name: self.text(given[name], name) for name in ("type", "use", "issuer") if name in given}
        if named.get("issuer", "order") not in ("patient", "order"):
            self.refuse(given["issuer"], "issuer is 'patient' or 'order'")
        concepts = None
        if "concepts" in given:
            concepts = self._draft.concepts.get(self.text(given["concepts"], "concepts"))
            if concepts is None:
                self.refuse(given["concepts"], f"there is no concept map '{given['concepts'].value}'")
        return Options(concepts, **named, codes=self._codes)

    def _codes(self, name: str) -> dict[str, str]:
        known = self._draft.concepts.get(name)
        return {code: concept.code for code, concept in known.codes.items()} if known else {}

    def _path(self, node: Node) -> tuple[Step, ...]:
        steps = [_STEP.match(step) for step in self.text(node, "element").split(".")]
        if not all(steps):
            self.refuse(
                node, f"'{node.value}' is no path of elements, such as name, identifier[] or identifier[placer]"
            )
            return ()
        return tuple((step[1], step[2]) for step in steps if step)

    def _shape(self, node: Node | None) -> Any:
        if node is None:
            return None
        shape = _plain(node)
        if VALUE not in str(shape):
            self.refuse(node, "a shape holds '$' where the value goes")
        return shape


def _merged(new: tuple[Row, ...], before: tuple[Row, ...]) -> tuple[Row, ...]:
    """The more special rows first, in the place of those of the same field and element."""
    taken = {(row.place, row.element) for row in new}
    return new + tuple(row for row in before if (row.place, row.element) not in taken)


def _components(row: Row) -> tuple[int, ...]:
    """The numbers of a data type's components that a row reads."""
    names = (row.place.field, *((row.end.field,) if row.end else ()), *row.asks)
    return tuple(int(name.rpartition("-")[2]) for name in names)


def _conversion(name: str, known: DatatypeMap | None, options: Options) -> Convert:
    if known and known.rows:
        return converted(name.partition("[")[0], known.rows, known.needed)
    return MAKES[name](options)


def _plain(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(each) for each in node.value]
    text = str(node.value)
    return {"true": True, "false": False}.get(text, text) if node.tag.endswith(":bool") else text


def _nothing(*_: Any) -> None:
    """The conversion of a row that makes a period of two fields."""
